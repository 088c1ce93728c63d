// Package iproute is the personality ip-mptcp: the grammar of ip(8) and of `ip mptcp`,
// its batch files, and its complaints word for word. What the commands do is not in it:
// [Program] takes them as rows.
//
// The words behind `endpoint` and `limits` are the same in our own grammar, so that the
// commands read them with [ParseEndpoint] and [ParseLimits].
package iproute
