package present

import (
	"math"
	"net/netip"
	"strconv"
	"time"

	"mptcpctl/mptcp"
)

// AppendConnection appends the JSON object of a connection, schema version 1, on one line.
// It is what encoding/json makes of the connection, at a tenth of the cost: lists that are
// empty are "[]", and control characters are escaped.
func AppendConnection(b []byte, c *mptcp.Connection) []byte {
	b = append(b, `{"token":"`...)
	b = c.Token.Append(b)
	b = append(b, '"')
	if !c.Pair.IsZero() {
		b = append(b, `,"pair":"`...)
		b = append(b, c.Pair.String()...)
		b = append(b, '"')
	}
	b = appendText(b, `,"netns":`, c.Netns)
	b = appendText(b, `,"family":`, c.Family.String())
	b = appendText(b, `,"side":`, c.Side.String())
	b = appendText(b, `,"state":`, c.State.String())
	b = appendFlag(b, `,"fallback":`, c.Fallback)
	if c.FallbackCause != "" {
		b = appendText(b, `,"fallback_cause":`, c.FallbackCause)
	}
	b = appendEnds(b, c.Local, c.Remote)
	b = appendField(b, `,"inode":`, uint64(c.Inode))
	b = appendField(b, `,"uid":`, uint64(c.UID))
	b = appendProcesses(b, c.Processes)
	if !c.Since.IsZero() {
		b = append(b, `,"since":"`...)
		b = c.Since.AppendFormat(b, time.RFC3339Nano)
		b = append(b, '"')
	}
	if c.PathManager != "" {
		b = appendText(b, `,"path_manager":`, c.PathManager)
	}
	b = appendConnectionFigures(b, c)
	b = append(b, `,"subflows":[`...)
	for i := range c.Subflows {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendSubflow(b, &c.Subflows[i])
	}
	return append(b, "]}"...)
}

func appendConnectionFigures(b []byte, c *mptcp.Connection) []byte {
	b = appendField(b, `,"bytes_sent":`, c.BytesSent)
	b = appendField(b, `,"bytes_received":`, c.BytesReceived)
	b = appendField(b, `,"bytes_retransmitted":`, c.BytesRetransmitted)
	b = appendField(b, `,"bytes_acked":`, c.BytesAcked)
	b = appendFlag(b, `,"checksum":`, c.Checksum)
	b = appendField(b, `,"last_data_sent_ms":`, uint64(c.LastDataSentMS))
	b = appendField(b, `,"last_data_recv_ms":`, uint64(c.LastDataRecvMS))
	b = appendField(b, `,"last_ack_recv_ms":`, uint64(c.LastAckRecvMS))
	l := &c.Limits
	b = appendField(b, `,"limits":{"subflows":`, uint64(l.Subflows))
	b = appendField(b, `,"subflows_max":`, uint64(l.SubflowsMax))
	b = appendField(b, `,"add_addr_signal":`, uint64(l.AddAddrSignal))
	b = appendField(b, `,"add_addr_signal_max":`, uint64(l.AddAddrSignalMax))
	b = appendField(b, `,"add_addr_accepted":`, uint64(l.AddAddrAccepted))
	b = appendField(b, `,"add_addr_accepted_max":`, uint64(l.AddAddrAcceptedMax))
	b = appendField(b, `,"local_addr_used":`, uint64(l.LocalAddrUsed))
	b = appendField(b, `,"local_addr_max":`, uint64(l.LocalAddrMax))
	return append(b, '}')
}

// AppendSubflow appends the JSON object of a subflow, as it is within its connection's.
func AppendSubflow(b []byte, s *mptcp.Subflow) []byte {
	b = append(appendEnds(append(b, '{'), s.Local, s.Remote), `,"local_id":`...)
	b = strconv.AppendUint(b, uint64(s.LocalID), 10)
	b = appendField(b, `,"remote_id":`, uint64(s.RemoteID))
	b = appendFlag(b, `,"initial":`, s.Initial)
	b = appendText(b, `,"state":`, s.State.String())
	b = appendText(b, `,"tcp_state":`, s.TCP.String())
	b = appendFlag(b, `,"backup_local":`, s.BackupLocal)
	b = appendFlag(b, `,"backup_remote":`, s.BackupRemote)
	b = appendText(b, `,"device":`, s.Device)
	b = appendFlag(b, `,"bound":`, s.Bound)
	if s.TokenRemote != 0 {
		b = append(b, `,"token_remote":"`...)
		b = s.TokenRemote.Append(b)
		b = append(b, '"')
	}
	b = appendFlag(b, `,"fully_established":`, s.FullyEstablished)
	b = appendField(b, `,"rtt_us":`, uint64(s.RTTMicros))
	b = appendField(b, `,"rttvar_us":`, uint64(s.RTTVarMicros))
	b = appendField(b, `,"min_rtt_us":`, uint64(s.MinRTTMicros))
	b = appendField(b, `,"cwnd":`, uint64(s.Cwnd))
	b = appendField(b, `,"bytes_sent":`, s.BytesSent)
	b = appendField(b, `,"bytes_received":`, s.BytesReceived)
	b = appendField(b, `,"bytes_retransmitted":`, s.BytesRetransmitted)
	b = appendShare(append(b, `,"share":`...), s.Share)
	b = appendField(b, `,"last_ack_ms":`, uint64(s.LastAckMS))
	b = appendField(b, `,"last_data_sent_ms":`, uint64(s.LastDataSentMS))
	b = appendField(b, `,"backoff":`, uint64(s.Backoff))
	b = appendField(b, `,"unacked":`, uint64(s.Unacked))
	b = appendField(b, `,"lost":`, uint64(s.Lost))
	b = appendLimit(b, s.Limit)
	return append(b, '}')
}

// appendEnds appends both addresses with their ports. A comma stands before them, except
// behind the brace that opens the object.
func appendEnds(b []byte, local, remote netip.AddrPort) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	b = appendAddrPort(append(b, `"local":`...), local)
	return appendAddrPort(append(b, `,"remote":`...), remote)
}

// appendAddrPort appends an address with its port. Zones of link-local addresses are names
// of devices, which are foreign.
func appendAddrPort(b []byte, a netip.AddrPort) []byte {
	if a.Addr().Zone() != "" {
		return AppendString(b, a.String())
	}
	b = append(b, '"')
	if a.IsValid() {
		b = a.AppendTo(b)
	}
	return append(b, '"')
}

func appendProcesses(b []byte, processes []mptcp.Process) []byte {
	b = append(b, `,"processes":[`...)
	for i, p := range processes {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"pid":`...)
		b = strconv.AppendInt(b, int64(p.PID), 10)
		b = append(appendText(b, `,"name":`, p.Name), '}')
	}
	return append(b, ']')
}

// appendShare appends a number as JSON has it: without an exponent where it is of usual size.
func appendShare(b []byte, share float64) []byte {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return append(b, '0')
	}
	if share != 0 && math.Abs(share) < 1e-6 {
		b = strconv.AppendFloat(b, share, 'e', -1, 64)
		if n := len(b); b[n-4] == 'e' && b[n-2] == '0' { // e-09 is e-9
			b = append(b[:n-2], b[n-1])
		}
		return b
	}
	return strconv.AppendFloat(b, share, 'f', -1, 64)
}

func appendText(b []byte, key, value string) []byte { return AppendString(append(b, key...), value) }

func appendFlag(b []byte, key string, value bool) []byte {
	return strconv.AppendBool(append(b, key...), value)
}

// appendLimit appends what limits the rate, nothing where that is not known.
func appendLimit(b []byte, l *mptcp.RateLimit) []byte {
	if l == nil {
		return b
	}
	b = appendText(b, `,"limit":{"what":`, string(l.What))
	if l.Side != "" {
		b = appendText(b, `,"side":`, l.Side)
	}
	if l.Other != "" {
		b = appendText(b, `,"other":`, l.Other)
	}
	b = appendShare(append(b, `,"share":`...), l.Share)
	b = appendShare(append(b, `,"rate_bps":`...), l.Rate)
	if l.Queue != 0 {
		b = strconv.AppendInt(append(b, `,"queue_us":`...), l.Queue, 10)
	}
	if l.Loss != 0 {
		b = appendShare(append(b, `,"loss":`...), l.Loss)
	}
	return append(b, '}')
}
