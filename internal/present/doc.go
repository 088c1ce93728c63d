// Package present turns what the other packages know into what a person or a
// program reads: event lines, trees, tables and JSON. All of it is pure: values
// in, bytes to an io.Writer out.
//
// Text is for people, in the form of iproute2 and ss where they have one; JSON is
// for programs, with keys that are only ever added. Strings that others chose (the
// names of processes and devices, recordings) are escaped before they reach a
// terminal.
package present
