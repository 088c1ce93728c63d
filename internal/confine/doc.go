// Package confine takes from this process what it was started with and needs no longer: its
// user, its capabilities, its way to files and to TCP ports. What is open stays open. All of
// it holds for all threads, and for good.
package confine
