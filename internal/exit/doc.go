// Package exit has the program's exit codes, and the errors that carry one from where
// something fails to where the program ends.
package exit
