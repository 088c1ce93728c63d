// Package policy holds declarative endpoints and limits: a file that says which
// there are to be, what that means on a host, and what has to change.
//
// It is pure: the host's addresses and the kernel's endpoints come in as values, a
// plan goes out. Who carries the plan out keeps the record of what was made by it.
//
// # Ownership
//
// The kernel keeps no word of who made an endpoint. A plan therefore takes and
// gives a [State]: the endpoints that earlier plans made, by address, port and id.
// What is not in it belongs to somebody else (a user's `ip mptcp`, NetworkManager,
// mptcpd) and is never changed nor removed, unless the plan is exclusive. An
// endpoint of somebody else that is just as the file wants it stays theirs; one
// that is in the way is told in [Plan.Left].
package policy
