// Package hostnet reads what the host's network looks like from where MPTCP
// stands: links, addresses, routes, rules and route lookups (rtnetlink), and network
// namespaces.
//
// A [Reader] asks the kernel; all of its questions are free to everybody. What
// the answers mean for MPTCP is worked out by pure functions over plain values:
// [Candidates] tells for each local address whether a subflow could start there,
// by which link it would leave, and why not.
//
// Everything is about the network namespace of the thread that opens the reader.
// [Namespaces] finds the others and [Namespace.Do] runs a function in one.
package hostnet
