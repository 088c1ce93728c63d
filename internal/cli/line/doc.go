// Package line reads what the commands have in common out of a command line: which
// connections are meant, where the facts come from, and what the output can show.
package line
