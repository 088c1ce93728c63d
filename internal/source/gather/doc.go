// Package gather makes the facts that doctor judges out of what a source tells of a
// network namespace, in one way for the running kernel and for a recording.
package gather
