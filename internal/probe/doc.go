// Package probe tries how a server is reached. A [Conn] is a single connection, over
// MPTCP or plain TCP, from a given address and device: how long it took, what is spoken,
// or how it failed. A [Prober] makes several of them, and says whether MPTCP was
// negotiated, why not, and which endpoints join the connection.
package probe
