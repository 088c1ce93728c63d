package sockdiag

import (
	"encoding/binary"

	"mptcpctl/internal/uapi"
)

// TCPInfo is the part of the kernel's struct tcp_info (tcp_get_info) that describes how
// well a subflow works. Fields that the running kernel does not have are 0.
type TCPInfo struct {
	Size int // bytes that the kernel sent; 0: none, as for TIME-WAIT, SYN-RECV and with Request.NoInfo

	State       uint8
	CAState     uint8 // congestion avoidance: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss
	Retransmits uint8 // timeouts in a row without an answer
	Backoff     uint8 // doublings of the retransmission timeout
	Options     uint8 // 1 timestamps, 2 SACK, 4 window scaling, 8 ECN, 16 ECN seen, 32 SYN data

	RTOMicros    uint32
	ATOMicros    uint32
	RTTMicros    uint32
	RTTVarMicros uint32
	MinRTTMicros uint32
	RcvRTTMicros uint32

	SndMSS uint32 // bytes
	RcvMSS uint32 // bytes
	AdvMSS uint32 // bytes
	PMTU   uint32 // bytes

	Cwnd        uint32 // segments
	SndSsthresh uint32 // segments
	RcvSsthresh uint32 // bytes
	SndWnd      uint32 // the peer's window in bytes

	Unacked      uint32 // segments
	Sacked       uint32 // segments
	Lost         uint32 // segments
	Retrans      uint32 // segments that are retransmitted now
	TotalRetrans uint32 // segments
	SegsOut      uint32
	SegsIn       uint32
	Delivered    uint32 // segments

	LastDataSentMS uint32 // ago
	LastDataRecvMS uint32 // ago
	LastAckRecvMS  uint32 // ago

	PacingRate         uint64 // bytes/s; all ones: no limit
	DeliveryRate       uint64 // bytes/s
	BusyMicros         uint64 // time with data in flight
	BytesAcked         uint64
	BytesReceived      uint64
	BytesSent          uint64
	BytesRetransmitted uint64
}

// tcpInfoSize is the size of the part of struct tcp_info that is read here.
const tcpInfoSize = 232

// decodeTCPInfo reads a struct tcp_info of any size, as far as both sides know it.
func decodeTCPInfo(b []byte, t *TCPInfo) {
	if len(b) < tcpInfoSize { // an old kernel, or none at all
		var raw [tcpInfoSize]byte
		copy(raw[:], b[:len(b)&^7]) // no field straddles a multiple of 8: none is read in half
		decodeWholeTCPInfo(&raw, t)
	} else {
		decodeWholeTCPInfo((*[tcpInfoSize]byte)(b), t)
	}
	t.Size = len(b)
}

// decodeWholeTCPInfo reads the fields at their places.
func decodeWholeTCPInfo(raw *[tcpInfoSize]byte, t *TCPInfo) {
	ne := binary.NativeEndian
	t.State = raw[uapi.TCPInfoState]
	t.CAState = raw[uapi.TCPInfoCaState]
	t.Retransmits = raw[uapi.TCPInfoRetransmits]
	t.Backoff = raw[uapi.TCPInfoBackoff]
	t.Options = raw[uapi.TCPInfoOptions]
	t.RTOMicros = ne.Uint32(raw[uapi.TCPInfoRTO:])
	t.ATOMicros = ne.Uint32(raw[uapi.TCPInfoATO:])
	t.SndMSS = ne.Uint32(raw[uapi.TCPInfoSndMSS:])
	t.RcvMSS = ne.Uint32(raw[uapi.TCPInfoRcvMSS:])
	t.Unacked = ne.Uint32(raw[uapi.TCPInfoUnacked:])
	t.Sacked = ne.Uint32(raw[uapi.TCPInfoSacked:])
	t.Lost = ne.Uint32(raw[uapi.TCPInfoLost:])
	t.Retrans = ne.Uint32(raw[uapi.TCPInfoRetrans:])
	t.LastDataSentMS = ne.Uint32(raw[uapi.TCPInfoLastDataSent:])
	t.LastDataRecvMS = ne.Uint32(raw[uapi.TCPInfoLastDataRecv:])
	t.LastAckRecvMS = ne.Uint32(raw[uapi.TCPInfoLastAckRecv:])
	t.PMTU = ne.Uint32(raw[uapi.TCPInfoPMTU:])
	t.RcvSsthresh = ne.Uint32(raw[uapi.TCPInfoRcvSsthresh:])
	t.RTTMicros = ne.Uint32(raw[uapi.TCPInfoRTT:])
	t.RTTVarMicros = ne.Uint32(raw[uapi.TCPInfoRTTVar:])
	t.SndSsthresh = ne.Uint32(raw[uapi.TCPInfoSndSsthresh:])
	t.Cwnd = ne.Uint32(raw[uapi.TCPInfoSndCwnd:])
	t.AdvMSS = ne.Uint32(raw[uapi.TCPInfoAdvMSS:])
	t.RcvRTTMicros = ne.Uint32(raw[uapi.TCPInfoRcvRTT:])
	t.TotalRetrans = ne.Uint32(raw[uapi.TCPInfoTotalRetrans:])
	t.PacingRate = ne.Uint64(raw[uapi.TCPInfoPacingRate:])
	t.BytesAcked = ne.Uint64(raw[uapi.TCPInfoBytesAcked:])
	t.BytesReceived = ne.Uint64(raw[uapi.TCPInfoBytesReceived:])
	t.SegsOut = ne.Uint32(raw[uapi.TCPInfoSegsOut:])
	t.SegsIn = ne.Uint32(raw[uapi.TCPInfoSegsIn:])
	t.MinRTTMicros = ne.Uint32(raw[uapi.TCPInfoMinRTT:])
	t.DeliveryRate = ne.Uint64(raw[uapi.TCPInfoDeliveryRate:])
	t.BusyMicros = ne.Uint64(raw[uapi.TCPInfoBusyTime:])
	t.Delivered = ne.Uint32(raw[uapi.TCPInfoDelivered:])
	t.BytesSent = ne.Uint64(raw[uapi.TCPInfoBytesSent:])
	t.BytesRetransmitted = ne.Uint64(raw[uapi.TCPInfoBytesRetrans:])
	t.SndWnd = ne.Uint32(raw[uapi.TCPInfoSndWnd:])
}
