// Package private opens files that nobody else may change or redirect: without
// following links, with a look at the owner and the mode, and replaced in one step.
//
// A program that runs as root trusts its own files. In a folder where others may write,
// a name can be a link to a file of the system, and a text can be somebody else's.
package private
