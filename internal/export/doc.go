// Package export turns the live state into metrics for Prometheus.
//
// A label never holds a token, a port or the address of a peer: the number of
// series depends on the host's devices, endpoints and namespaces, and not on its
// connections. What is counted over events and bytes is counted from the moment on
// at which [Collector.Run] began.
//
// The text format is written here and not by the client library: this program is
// also a command that runs for a few milliseconds, and the library's set-up would
// cost each run two more.
package export
