package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// Connection is an MPTCP socket: a connection or a listener.
type Connection struct {
	Socket
	Info Info
}

// Info is the kernel's struct mptcp_info (mptcp_diag_fill_info). The structure grew with the
// kernel: fields that the running kernel does not have are 0, and Size is the number of
// bytes that it sent. A listener has 0 in nearly all.
type Info struct {
	// bytes that the kernel sent: 40 (Linux 5.9), 48 (5.12), 80 (6.5), 88 (6.8), 96 (6.10); 0: none was asked for
	Size int

	Token mptcp.Token
	Flags InfoFlags

	Subflows           uint8 // additional subflows, pending ones included, the initial one not
	AddAddrSignal      uint8 // addresses announced to the peer
	AddAddrAccepted    uint8 // announced addresses of the peer in use
	SubflowsMax        uint8 // the limits are 0 with a userspace path manager
	AddAddrSignalMax   uint8
	AddAddrAcceptedMax uint8
	LocalAddrUsed      uint8 // since Linux 5.12
	LocalAddrMax       uint8 // 5.12
	Checksum           bool  // DSS checksums are in use; 5.14
	SubflowsTotal      uint8 // with the initial one; 6.8
	EndpointLaminarMax uint8 // 6.18; 0 before, whatever Size is
	EndpointFullMax    uint8 // endpoints with the fullmesh flag; 6.19

	WriteSeq uint64 // data sequence number after the last byte that the process wrote
	SndUna   uint64 // first data sequence number that the peer has not acknowledged
	RcvNxt   uint64 // next data sequence number expected; after a fallback a count of bytes

	// timeouts in a row of the timer that sends a DATA_FIN again (mptcp_diag_fill_info reads
	// icsk_retransmits of the connection); data that goes to another subflow does not count; 6.5
	Retransmits        uint32
	BytesRetransmitted uint64 // data that was given to another subflow once more; 6.5
	BytesSent          uint64 // 6.5
	BytesReceived      uint64 // 6.5
	BytesAcked         uint64 // 6.5

	LastDataSentMS uint32 // ago; 6.10
	LastDataRecvMS uint32 // ago; 6.10
	LastAckRecvMS  uint32 // ago; 6.10
}

// InfoFlags are the bits of mptcpi_flags.
type InfoFlags uint32

// The flags of a connection.
const (
	FlagFallback          InfoFlags = uapi.InfoFlagFallback          // plain TCP is spoken, for good
	FlagRemoteKeyReceived InfoFlags = uapi.InfoFlagRemoteKeyReceived // the peer's key is known
)

// Fallback reports whether the connection speaks plain TCP, for good.
func (i *Info) Fallback() bool { return i.Flags&FlagFallback != 0 }

// RemoteKeyReceived reports whether the peer's key is known.
func (i *Info) RemoteKeyReceived() bool { return i.Flags&FlagRemoteKeyReceived != 0 }

// Limits returns the path manager's limits and their use.
func (i *Info) Limits() mptcp.ConnectionLimits {
	return mptcp.ConnectionLimits{
		Subflows:           i.Subflows,
		SubflowsMax:        i.SubflowsMax,
		AddAddrSignal:      i.AddAddrSignal,
		AddAddrSignalMax:   i.AddAddrSignalMax,
		AddAddrAccepted:    i.AddAddrAccepted,
		AddAddrAcceptedMax: i.AddAddrAcceptedMax,
		LocalAddrUsed:      i.LocalAddrUsed,
		LocalAddrMax:       i.LocalAddrMax,
	}
}

// mptcpInfoSize is the size of the struct mptcp_info that is known here.
const mptcpInfoSize = 96

// decodeInfo reads a struct mptcp_info of any size, as far as both sides know it.
func decodeInfo(b []byte, i *Info) {
	var raw [mptcpInfoSize]byte
	copy(raw[:], b[:len(b)&^7]) // no field straddles a multiple of 8: none is read in half
	ne := binary.NativeEndian
	i.Size = len(b)
	i.Subflows = raw[uapi.InfoSubflows]
	i.AddAddrSignal = raw[uapi.InfoAddAddrSignal]
	i.AddAddrAccepted = raw[uapi.InfoAddAddrAccepted]
	i.SubflowsMax = raw[uapi.InfoSubflowsMax]
	i.AddAddrSignalMax = raw[uapi.InfoAddAddrSignalMax]
	i.AddAddrAcceptedMax = raw[uapi.InfoAddAddrAcceptedMax]
	i.Flags = InfoFlags(ne.Uint32(raw[uapi.InfoFlags:]))
	i.Token = mptcp.Token(ne.Uint32(raw[uapi.InfoToken:]))
	i.WriteSeq = ne.Uint64(raw[uapi.InfoWriteSeq:])
	i.SndUna = ne.Uint64(raw[uapi.InfoSndUna:])
	i.RcvNxt = ne.Uint64(raw[uapi.InfoRcvNxt:])
	i.LocalAddrUsed = raw[uapi.InfoLocalAddrUsed]
	i.LocalAddrMax = raw[uapi.InfoLocalAddrMax]
	i.Checksum = raw[uapi.InfoCsumEnabled] != 0
	i.Retransmits = ne.Uint32(raw[uapi.InfoRetransmits:])
	i.BytesRetransmitted = ne.Uint64(raw[uapi.InfoBytesRetrans:])
	i.BytesSent = ne.Uint64(raw[uapi.InfoBytesSent:])
	i.BytesReceived = ne.Uint64(raw[uapi.InfoBytesReceived:])
	i.BytesAcked = ne.Uint64(raw[uapi.InfoBytesAcked:])
	i.SubflowsTotal = raw[uapi.InfoSubflowsTotal]
	i.EndpointLaminarMax = raw[uapi.InfoEndpLaminarMax]
	i.EndpointFullMax = raw[uapi.InfoEndpFullmeshMax]
	i.LastDataSentMS = ne.Uint32(raw[uapi.InfoLastDataSent:])
	i.LastDataRecvMS = ne.Uint32(raw[uapi.InfoLastDataRecv:])
	i.LastAckRecvMS = ne.Uint32(raw[uapi.InfoLastAckRecv:])
}

// Gone reports whether the row is that of a connection which the kernel destroyed while
// it answered, and whose token is free already (mptcp_token_destroy). Lists leave such
// rows out, and lookups report them as [fs.ErrNotExist]. Listeners have no token.
func (c *Connection) Gone() bool {
	return c.Info.Size > 0 && c.Info.Token == 0 && c.State != mptcp.StateListen
}

// DecodeConnection reads the payload of one message about an MPTCP socket: a struct
// inet_diag_msg and its attributes. It ignores unknown attributes. If the message is too
// short, the error is an [*Error], and c is undefined.
func DecodeConnection(payload []byte, c *Connection) error {
	if !decodeSocket(payload, &c.Socket) {
		return &Error{Op: "connection decode", Err: errTruncated}
	}
	c.Info = Info{}
	for b := payload[uapi.InetDiagMsgSize:]; ; {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return nil
		}
		switch typ {
		case uapi.InetDiagInfo:
			decodeInfo(value, &c.Info)
		case uapi.InetDiagMark:
			decodeMark(value, &c.Socket)
		}
		b = rest
	}
}
