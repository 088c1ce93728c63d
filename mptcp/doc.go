// Package mptcp is the vocabulary of Multipath TCP as RFC 8684 and the Linux
// kernel use it: tokens, address ids, endpoints, limits, events, connections and
// their subflows.
//
// It is pure: values with String, Parse and JSON forms, no I/O and no state. All
// other packages of the module speak in these words.
//
// A connection is known by its [Token], the hash of the local key that the
// kernel chose. Each end of a connection has a token of its own, so that a
// connection within one host has two. Tokens are compared as numbers and printed
// as eight hexadecimal digits. They are unique among the live connections of a
// host and may be used again later: see [Key].
package mptcp
