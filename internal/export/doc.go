// Package export turns the live state into metrics for Prometheus.
//
// A label never holds a token, a port or the address of a peer: the number of
// series depends on the host's devices, endpoints and namespaces, and not on its
// connections. What is counted over events and bytes is counted from the moment on
// at which [Collector.Run] began.
//
// # Why not the client library
//
// The text format is written here and not by Prometheus' client library. Only
// mptcpctl-full has metrics, so that the library's set-up, two milliseconds at each
// start, is no reason any more. These are:
//
//   - The metrics are made from one immutable state at each scrape, and their series come
//     and go with devices, endpoints and namespaces. The library's counters and gauges
//     live in a registry instead. What would remain of it is a collector of constant
//     metrics, which makes a protocol buffer for each series only to have it turned into
//     text, where this package appends to one buffer and renders each sum once.
//   - The text format is old, small and fixed: text.go has all of it, and the tests hold it
//     against promtool.
//   - A service that starts with privileges should link little: the library brings
//     protocol buffers and several other modules.
//
// If the metrics are to have what only the newer formats can say (native histograms,
// exemplars, the time at which a counter began), the library becomes the smaller part.
package export
