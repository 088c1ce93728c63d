// Package compat has what the programs that we stand in for have in common: errors in
// the words of the C library. A room below it is the personality of one program.
package compat
