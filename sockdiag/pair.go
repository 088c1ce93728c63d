package sockdiag

import "mptcpctl/mptcp"

// pairSize is the size of struct mptcp_info with the bytes received and acknowledged:
// Linux 6.5, and older kernels to which they were carried back.
const pairSize = 80

// Pair returns the name that the connection has at both ends. It needs no privilege, but a
// kernel that tells the bytes acknowledged and received (Linux 6.5), and a connection that
// has the peer's key and did not fall back; else it is the zero value. state is that of the
// connection's socket.
//
// The kernel reads the bytes received under another lock than the sequence number
// (mptcp_diag_fill_info, Linux 6.18). If sure is false, data came in the very last
// millisecond, or the kernel does not tell when it came (before 6.10): the pair is then
// wrong once in tens of thousands of times, and two readings that agree are right.
func (i *Info) Pair(state mptcp.SocketState) (p mptcp.Pair, sure bool) {
	if i.Size < pairSize || i.Fallback() || !i.RemoteKeyReceived() {
		return p, false
	}
	out, in := i.SndUna-i.BytesAcked, i.RcvNxt-i.BytesReceived
	switch state {
	case mptcp.StateCloseWait, mptcp.StateClosing, mptcp.StateLastAck, mptcp.StateTimeWait:
		in-- // the peer's DATA_FIN has a number and is no byte
	}
	return mptcp.NewPair(out, in), i.BytesReceived == 0 || i.LastDataRecvMS > 0
}
