// Package peer gets the facts of another host: from a file that was taken there, or by ssh
// from the program there.
package peer
