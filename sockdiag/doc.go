// Package sockdiag reads the kernel's MPTCP sockets through NETLINK_SOCK_DIAG:
// the connections, their TCP subflows and the listeners, as ss does; finds single
// ones by token or address; ends a subflow; and hears of ended ones.
//
// # Connections and subflows
//
// A connection and its subflows are sockets of their own. [Client.Connections]
// walks the kernel's table of tokens, [Client.Subflows] that of TCP sockets. What
// joins them is the token: Subflow.MPTCP.TokenLocal is Connection.Info.Token.
// Neither the inode (the kernel gives a connection and all its subflows the
// same one, and 0 to those that no process holds) nor the cookie (each socket has
// its own) does.
//
// A dump is no snapshot. The kernel walks its tables while sockets come and go: a
// row may be missed (one that came twice is dropped here), a subflow
// may name a token whose connection is gone, and a connection may show no subflow
// yet. Confirm with [Client.Connection] that a connection is gone before believing
// it.
//
// Long lists of subflows need not be dumps: see [Request] Expected. A BPF program that
// the kernel runs for each TCP socket reads of the subflows what a list shows, which is
// cheaper than to have all that is known of every socket written into messages. It
// takes its places in the kernel's structures from the kernel's own description, and
// what it reads is held against the kernel's answers about some of the subflows before
// anything is shown. A dump serves where that fails.
//
// # What is not there
//
// The table of tokens has no row for a connection that the peer aborted, for
// a server's plain TCP socket after a client without MPTCP, or for a socket that
// connects while the kernel holds MPTCP for blocked by a middlebox. A TCP row in
// SYN-RECV or TIME-WAIT does not say that it belongs to MPTCP: it is shown only
// with Request.AllTCP.
//
// # Privilege
//
// Reading needs none since Linux 6.15. Before, the kernel tells only the holder of
// CAP_NET_ADMIN which TCP sockets are subflows (tcp_diag_get_aux):
// [Client.Subflows] yields nothing for others there, and [Client.CheckSubflows] says
// so. The mapping in SubflowInfo needs it everywhere, and so does [Client.Destroy]. The
// iterator needs CAP_BPF and CAP_PERFMON in the initial user namespace.
//
// # Concurrency
//
// A [Client] may be used by several goroutines, and a method may be called from
// within the loop over another's iterator: each running request has a netlink
// socket of its own, taken from those that the client keeps.
package sockdiag
