package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// The encoders of this file are the kernel's part, written from its structures:
// the oracle of the decoders.

// encodeSocket returns the struct inet_diag_msg.
func encodeSocket(s *Socket) []byte {
	ne := binary.NativeEndian
	b := []byte{uint8(s.Family), uint8(s.State), s.Timer, s.Retrans}
	b = appendSockID(b, s)
	for _, v := range []uint32{s.ExpiresMS, s.RecvQueue, s.SendQueue, s.UID, s.Inode} {
		b = ne.AppendUint32(b, v)
	}
	return b
}

// encodeInfo returns a struct mptcp_info of i.Size bytes.
func encodeInfo(i *Info) []byte {
	ne := binary.NativeEndian
	b := make([]byte, max(i.Size, mptcpInfoSize))
	copy(b, []byte{i.Subflows, i.AddAddrSignal, i.AddAddrAccepted, i.SubflowsMax, i.AddAddrSignalMax,
		i.AddAddrAcceptedMax})
	ne.PutUint32(b[8:], uint32(i.Flags))
	ne.PutUint32(b[12:], uint32(i.Token))
	ne.PutUint64(b[16:], i.WriteSeq)
	ne.PutUint64(b[24:], i.SndUna)
	ne.PutUint64(b[32:], i.RcvNxt)
	b[40], b[41] = i.LocalAddrUsed, i.LocalAddrMax
	if i.Checksum {
		b[42] = 1
	}
	ne.PutUint32(b[44:], i.Retransmits)
	ne.PutUint64(b[48:], i.BytesRetransmitted)
	ne.PutUint64(b[56:], i.BytesSent)
	ne.PutUint64(b[64:], i.BytesReceived)
	ne.PutUint64(b[72:], i.BytesAcked)
	b[80], b[81], b[82] = i.SubflowsTotal, i.EndpointLaminarMax, i.EndpointFullMax
	ne.PutUint32(b[84:], i.LastDataSentMS)
	ne.PutUint32(b[88:], i.LastDataRecvMS)
	ne.PutUint32(b[92:], i.LastAckRecvMS)
	return b[:i.Size]
}

// encodeTCPInfo returns a struct tcp_info of t.Size bytes.
func encodeTCPInfo(t *TCPInfo) []byte {
	ne := binary.NativeEndian
	b := make([]byte, max(t.Size, tcpInfoSize))
	b[0], b[1], b[2], b[4], b[5] = t.State, t.CAState, t.Retransmits, t.Backoff, t.Options
	for offset, v := range map[int]uint32{
		8: t.RTOMicros, 12: t.ATOMicros, 16: t.SndMSS, 20: t.RcvMSS, 24: t.Unacked, 28: t.Sacked, 32: t.Lost,
		36: t.Retrans, 44: t.LastDataSentMS, 52: t.LastDataRecvMS, 56: t.LastAckRecvMS, 60: t.PMTU, 64: t.RcvSsthresh,
		68: t.RTTMicros, 72: t.RTTVarMicros, 76: t.SndSsthresh, 80: t.Cwnd, 84: t.AdvMSS, 92: t.RcvRTTMicros,
		100: t.TotalRetrans, 136: t.SegsOut, 140: t.SegsIn, 148: t.MinRTTMicros, 192: t.Delivered, 228: t.SndWnd,
	} {
		ne.PutUint32(b[offset:], v)
	}
	for offset, v := range map[int]uint64{
		104: t.PacingRate, 120: t.BytesAcked, 128: t.BytesReceived, 160: t.DeliveryRate, 168: t.BusyMicros,
		200: t.BytesSent, 208: t.BytesRetransmitted,
	} {
		ne.PutUint64(b[offset:], v)
	}
	return b[:t.Size]
}

func encodeConnection(c *Connection) []byte {
	b := encodeSocket(&c.Socket)
	b = nlmsg.AppendAttribute(b, uapi.InetDiagShutdown, 0)
	if c.Info.Size > 0 {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagInfo, encodeInfo(&c.Info)...)
	}
	return appendMark(b, &c.Socket)
}

// appendMark appends the mark as the kernel does for the holder of CAP_NET_ADMIN.
func appendMark(b []byte, s *Socket) []byte {
	if !s.HasMark {
		return b
	}
	return nlmsg.AppendUint32(b, uapi.InetDiagMark, s.Mark)
}

func encodeSubflow(s *Subflow) []byte {
	b := appendMark(encodeSocket(&s.Socket), &s.Socket)
	if s.TCP.Size > 0 {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagInfo, encodeTCPInfo(&s.TCP)...)
	}
	var ulp []byte
	if s.ULP != "" {
		ulp = nlmsg.AppendAttribute(ulp, uapi.InetUlpInfoName, append([]byte(s.ULP), 0)...)
	}
	if s.HasMPTCP {
		const nested = 0x8000 // NLA_F_NESTED, as the kernel sets it
		ulp = nlmsg.AppendAttribute(ulp, uapi.InetUlpInfoMPTCP|nested, encodeSubflowInfo(&s.MPTCP)...)
	}
	if ulp != nil {
		b = nlmsg.AppendAttribute(b, uapi.InetDiagUlpInfo, ulp...)
	}
	return b
}

func encodeSubflowInfo(i *SubflowInfo) []byte {
	ne := binary.NativeEndian
	u32 := func(v uint32) []byte { return ne.AppendUint32(nil, v) }
	var b []byte
	b = nlmsg.AppendAttribute(b, uapi.SubflowAttrTokenRem, u32(uint32(i.TokenRemote))...)
	b = nlmsg.AppendAttribute(b, uapi.SubflowAttrTokenLoc, u32(uint32(i.TokenLocal))...)
	if i.Mapping {
		b = nlmsg.AppendAttribute(b, uapi.SubflowAttrRelwriteSeq, u32(i.RelWriteSeq)...)
		b = nlmsg.AppendAttribute(b, uapi.SubflowAttrMapSeq, ne.AppendUint64(nil, i.MapSeq)...)
		b = nlmsg.AppendAttribute(b, uapi.SubflowAttrMapSfseq, u32(i.MapSubflowSeq)...)
		b = nlmsg.AppendAttribute(b, uapi.SubflowAttrSsnOffset, u32(i.SSNOffset)...)
		b = nlmsg.AppendAttribute(b, uapi.SubflowAttrMapDatalen, ne.AppendUint16(nil, i.MapDataLen)...)
	}
	b = nlmsg.AppendAttribute(b, uapi.SubflowAttrFlags, u32(uint32(i.Flags))...)
	b = nlmsg.AppendAttribute(b, uapi.SubflowAttrIDRem, uint8(i.RemoteID))
	return nlmsg.AppendAttribute(b, uapi.SubflowAttrIDLoc, uint8(i.LocalID))
}

// encodeMessage returns a whole netlink message.
func encodeMessage(typ uint16, seq uint32, payload []byte) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, uint32(nlmsg.HeaderSize+len(payload)))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, 2) // NLM_F_MULTI
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)
	b = append(b, payload...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// encodeError returns an NLMSG_ERROR or NLMSG_DONE message.
func encodeError(typ uint16, seq uint32, errno int) []byte {
	return encodeMessage(typ, seq, binary.NativeEndian.AppendUint32(nil, uint32(-errno)))
}
