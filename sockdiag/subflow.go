package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// Subflow is a TCP socket: a subflow of a connection, or with AllTCP in [Request] any.
type Subflow struct {
	Socket
	ULP string // upper layer protocol: "mptcp" for subflows and listeners of MPTCP, "" for plain TCP
	// MPTCP was sent: false for listeners, for SYN-RECV and TIME-WAIT, and for what Destroyed yields
	HasMPTCP bool
	MPTCP    SubflowInfo // of a subflow
	TCP      TCPInfo
}

// SubflowInfo is what MPTCP says about one of its subflows (subflow_get_info).
type SubflowInfo struct {
	TokenLocal  mptcp.Token // the connection's token. The connection may be gone already: see the package
	TokenRemote mptcp.Token // the peer's token for the connection; non-zero only on joins that this host made
	LocalID     mptcp.AddressID
	RemoteID    mptcp.AddressID
	Flags       SubflowFlags

	Mapping       bool   // the fields below were sent: CAP_NET_ADMIN is needed
	RelWriteSeq   uint32 // bytes written since the subflow started
	MapSeq        uint64 // data sequence number of the last mapping
	MapSubflowSeq uint32 // its subflow sequence number
	SSNOffset     uint32 // the subflow's initial sequence number
	MapDataLen    uint16 // its length in bytes
}

// Join reports whether the subflow was added by MP_JOIN, and so is not the initial one.
func (i *SubflowInfo) Join() bool { return i.Flags&(SubflowJoinRemote|SubflowJoinLocal) != 0 }

// SubflowFlags are the bits that MPTCP keeps about a subflow (MPTCP_SUBFLOW_FLAG_*).
type SubflowFlags uint32

// The flags of a subflow. "Remote" flags come from the peer, "Local" flags from this host.
const (
	SubflowCapableRemote    SubflowFlags = uapi.SubflowFlagMcapRem          // MP_CAPABLE was received
	SubflowCapableLocal     SubflowFlags = uapi.SubflowFlagMcapLoc          // MP_CAPABLE was asked for
	SubflowJoinRemote       SubflowFlags = uapi.SubflowFlagJoinRem          // MP_JOIN was received
	SubflowJoinLocal        SubflowFlags = uapi.SubflowFlagJoinLoc          // MP_JOIN was asked for
	SubflowBackupRemote     SubflowFlags = uapi.SubflowFlagBkupRem          // the peer wants it used last
	SubflowBackupLocal      SubflowFlags = uapi.SubflowFlagBkupLoc          // this host wants it used last
	SubflowFullyEstablished SubflowFlags = uapi.SubflowFlagFullyEstablished //
	SubflowConnected        SubflowFlags = uapi.SubflowFlagConnected        //
	SubflowMapValid         SubflowFlags = uapi.SubflowFlagMapvalid         // the last mapping is in use
)

// String returns the letters that ss shows, such as "Jjec".
func (f SubflowFlags) String() string {
	const letters = "MmJjBbecv"
	var b []byte
	for bit := range len(letters) {
		if f&(1<<bit) != 0 {
			b = append(b, letters[bit])
		}
	}
	return string(b)
}

const ulpMPTCP = "mptcp"

// DecodeSubflow reads the payload of one message about a TCP socket: a struct
// inet_diag_msg and its attributes. It ignores unknown attributes. If the message is too
// short, the error is an [*Error], and s is undefined.
func DecodeSubflow(payload []byte, s *Subflow) error {
	_, err := decodeSubflow(payload, s, true)
	return err
}

// decodeSubflow is DecodeSubflow. Without all, it stops early and returns false for a
// socket that is not MPTCP's, as most are on a busy host.
func decodeSubflow(payload []byte, s *Subflow, all bool) (wanted bool, err error) {
	if len(payload) < uapi.InetDiagMsgSize {
		return false, &Error{Op: "subflow decode", Err: errTruncated}
	}
	var info, ulp, mark []byte
	for b := payload[uapi.InetDiagMsgSize:]; ; {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			break
		}
		switch typ {
		case uapi.InetDiagInfo:
			info = value
		case uapi.InetDiagUlpInfo:
			ulp = value
		case uapi.InetDiagMark:
			mark = value
		}
		b = rest
	}
	if !all && ulp == nil {
		return false, nil
	}
	decodeULP(ulp, s)
	if !all && s.ULP != ulpMPTCP {
		return false, nil
	}
	decodeTCPInfo(info, &s.TCP)
	err = decodeSocketOrError(payload, &s.Socket)
	decodeMark(mark, &s.Socket)
	return true, err
}

// decodeSocketOrError is decodeSocket with an error for the short message.
func decodeSocketOrError(payload []byte, s *Socket) error {
	if !decodeSocket(payload, s) {
		return &Error{Op: "subflow decode", Err: errTruncated}
	}
	return nil
}

// decodeULP reads the attributes in INET_DIAG_ULP_INFO.
func decodeULP(b []byte, s *Subflow) {
	s.ULP, s.HasMPTCP, s.MPTCP = "", false, SubflowInfo{}
	for {
		typ, value, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return
		}
		switch typ {
		case uapi.InetUlpInfoName:
			s.ULP = ulpName(value)
		case uapi.InetUlpInfoMPTCP:
			s.HasMPTCP = true
			decodeSubflowInfo(value, &s.MPTCP)
		}
		b = rest
	}
}

// ulpName returns the name, without an allocation if it is a usual one.
func ulpName(b []byte) string {
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	switch string(b) {
	case ulpMPTCP:
		return ulpMPTCP
	case "tls":
		return "tls"
	}
	return string(b)
}

// decodeSubflowInfo reads the attributes MPTCP_SUBFLOW_ATTR_*. It ignores unknown ones, and
// those that are shorter than their type.
func decodeSubflowInfo(b []byte, i *SubflowInfo) {
	ne := binary.NativeEndian
	for {
		typ, v, rest, ok := nlmsg.NextAttribute(b)
		if !ok {
			return
		}
		b = rest
		switch {
		case typ == uapi.SubflowAttrTokenRem && len(v) >= 4:
			i.TokenRemote = mptcp.Token(ne.Uint32(v))
		case typ == uapi.SubflowAttrTokenLoc && len(v) >= 4:
			i.TokenLocal = mptcp.Token(ne.Uint32(v))
		case typ == uapi.SubflowAttrRelwriteSeq && len(v) >= 4:
			i.RelWriteSeq, i.Mapping = ne.Uint32(v), true
		case typ == uapi.SubflowAttrMapSeq && len(v) >= 8:
			i.MapSeq, i.Mapping = ne.Uint64(v), true
		case typ == uapi.SubflowAttrMapSfseq && len(v) >= 4:
			i.MapSubflowSeq, i.Mapping = ne.Uint32(v), true
		case typ == uapi.SubflowAttrSsnOffset && len(v) >= 4:
			i.SSNOffset, i.Mapping = ne.Uint32(v), true
		case typ == uapi.SubflowAttrMapDatalen && len(v) >= 2:
			i.MapDataLen, i.Mapping = ne.Uint16(v), true
		case typ == uapi.SubflowAttrFlags && len(v) >= 4:
			i.Flags = SubflowFlags(ne.Uint32(v))
		case typ == uapi.SubflowAttrIDRem && len(v) >= 1:
			i.RemoteID = mptcp.AddressID(v[0])
		case typ == uapi.SubflowAttrIDLoc && len(v) >= 1:
			i.LocalID = mptcp.AddressID(v[0])
		}
	}
}
