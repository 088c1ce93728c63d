// Package across is what `doctor` does with several hosts: the flags of --peer, and the report.
package across
