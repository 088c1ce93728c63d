// Package bpf writes, loads and describes small BPF programs by hand: no compiler at
// build time or run time, and no library, which would be linked into each command
// and cost more to start than the programs save.
//
// A [Program] is assembled from instructions and labels. [Layouts] finds the numbers
// of types and the offsets of members in the running kernel's own description of
// itself (BTF), so that a program fits it.
package bpf
