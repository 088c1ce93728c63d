// Package ledger accounts for every path that the kernel's path manager could have
// used: for each connection, each thing that it could have done (a join from an
// endpoint to an address of the peer, an announcement of an endpoint, a join to an
// announced address) stands in one entry, with how far it got.
//
// It has two parts. [Manager] is the in-kernel path manager of one connection: the
// algorithm of net/mptcp/pm_kernel.c (Linux 6.18; pm_netlink.c before 6.16) as a pure
// state machine, with the differences of other kernels in [Rules]. [Of] is the account:
// it takes the facts of a host (endpoints, limits, connections with their subflows and
// mptcp_info, counters, events, routes) and says of each [Candidate] which [Stage] it
// reached. Where the facts leave several stages, the entry holds all of them and names
// the fact that would decide; it holds a stage that is not the true one, but never
// leaves the true one out.
//
// The package does no I/O and knows no command. A model test runs the algorithm beside
// the real kernel: random endpoints, limits and commands in two network namespaces.
package ledger
