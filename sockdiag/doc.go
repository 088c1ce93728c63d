// Package sockdiag reads the kernel's MPTCP sockets through NETLINK_SOCK_DIAG, as ss does:
// the connections, their TCP subflows and the listeners. It looks up single sockets by
// token or address, ends a subflow, and reports TCP sockets that end.
//
// # Connections and subflows
//
// A connection and each of its subflows are sockets of their own. [Client.Connections]
// walks the kernel's table of tokens, [Client.Subflows] its table of TCP sockets. The
// token joins them: Subflow.MPTCP.TokenLocal is Connection.Info.Token. The inode does not,
// because the kernel gives a connection and all its subflows the same one, and 0 to those
// that no process holds. The cookie does not either, because each socket has its own.
//
// A dump is no snapshot. The kernel walks its tables while sockets come and go. A row may
// be missing (a row that comes twice is dropped here), a subflow may name a token whose
// connection is gone, and a connection may have no subflow yet. Confirm with
// [Client.Connection] that a connection is gone before you rely on it.
//
// A long list of subflows need not be a dump: see Expected in [Request]. The kernel then
// runs a BPF program for each TCP socket, which reads only the members that a list shows.
// That costs less than a message with everything known about every socket. The program
// takes the places of the members from the kernel's own description of its types, and the
// client compares some of its results with the kernel's answers before it yields any. If
// that fails, the list is a dump.
//
// # What is not there
//
// The table of tokens has no row for a connection that the peer aborted, for a server's
// plain TCP socket after a client without MPTCP, or for a socket that connects while the
// kernel considers MPTCP blocked by a middlebox. A TCP socket in SYN-RECV or TIME-WAIT does
// not say that it belongs to MPTCP, so it is listed only with AllTCP in [Request].
//
// # Privilege
//
// Reading needs no privilege since Linux 6.15. Before, the kernel says only to processes
// with CAP_NET_ADMIN which TCP sockets are subflows (tcp_diag_get_aux). Without it
// [Client.Subflows] yields nothing there, and [Client.CheckSubflows] reports that. The
// mapping in [SubflowInfo] and [Client.Destroy] always need CAP_NET_ADMIN. The BPF program
// needs CAP_BPF and CAP_PERFMON in the initial user namespace.
//
// # Concurrency
//
// Several goroutines may use a [Client], and a method may be called within the loop over
// another's iterator. Each request that is under way has a netlink socket of its own, out
// of a few that the client keeps.
package sockdiag
