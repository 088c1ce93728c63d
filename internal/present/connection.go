package present

import (
	"net/netip"
	"strconv"

	"mptcpctl/mptcp"
)

// ConnectionText renders connections as trees: a line for the connection, one for
// each subflow. The zero value is ready to use.
type ConnectionText struct {
	Colors  Palette
	ASCII   bool // draw the tree without box characters
	OneLine bool // a connection is one line, '\' in place of the line breaks within
	Details bool // also cookies, counters and limits
	Unasked bool // nobody asked who holds the socket: say nothing about that
}

// Append appends one connection, with the line break at its end.
func (f *ConnectionText) Append(b []byte, c *mptcp.Connection) []byte {
	b = f.appendConnection(b, c)
	for i := range c.Subflows {
		b = f.appendBranch(b, i == len(c.Subflows)-1)
		b = f.appendSubflow(b, &c.Subflows[i])
	}
	return append(b, '\n')
}

func (f *ConnectionText) appendConnection(b []byte, c *mptcp.Connection) []byte {
	b = append(b, f.Colors.Bold...)
	b = c.Token.Append(b)
	b = append(b, f.Colors.Reset...)
	b = append(b, ' ')
	b = append(b, c.State.String()...)
	if onlyBegun(c) {
		b = append(b, " (not fully yet: no data was acknowledged)"...)
	}
	if c.Side != mptcp.SideUnknown {
		b = append(b, ' ')
		b = append(b, c.Side.String()...)
	}
	b = append(b, ' ')
	b = f.appendFlow(b, c.Local, c.Remote)
	if c.Netns != "" {
		b = append(b, " netns "...)
		b = append(b, Escape(c.Netns)...)
	}
	if c.Fallback {
		b = append(b, ' ')
		b = append(b, f.Colors.Bad...)
		b = append(b, "fallback"...)
		b = append(b, f.Colors.Reset...)
		b = append(b, " (plain TCP"...)
		if c.FallbackCause != "" {
			b = append(b, ": "...)
			b = append(b, c.FallbackCause...)
		}
		b = append(b, ')')
	}
	up := c.SubflowsUp()
	b = appendField(b, " subflows ", uint64(up))
	if more := len(c.Subflows) - up; more > 0 {
		b = append(b, " (+"...)
		b = strconv.AppendInt(b, int64(more), 10)
		b = append(b, " not up)"...)
	}
	b = append(b, " sent "...)
	b = appendBytes(b, c.BytesSent)
	b = append(b, " received "...)
	b = appendBytes(b, c.BytesReceived)
	b = f.appendProcesses(b, c)
	if f.Details {
		b = f.appendConnectionDetails(b, c)
	}
	return b
}

// onlyBegun reports whether the connection is up and cannot have further subflows
// yet: a client's is established fully by the first data that is acknowledged.
func onlyBegun(c *mptcp.Connection) bool {
	if c.State != mptcp.StateEstablished || c.Fallback {
		return false
	}
	for i := range c.Subflows {
		if c.Subflows[i].FullyEstablished {
			return false
		}
	}
	return len(c.Subflows) > 0
}

func (f *ConnectionText) appendConnectionDetails(b []byte, c *mptcp.Connection) []byte {
	l := &c.Limits
	b = appendUse(b, " extra ", l.Subflows, l.SubflowsMax)
	b = appendUse(b, " add_addr_accepted ", l.AddAddrAccepted, l.AddAddrAcceptedMax)
	b = appendUse(b, " add_addr_signal ", l.AddAddrSignal, l.AddAddrSignalMax)
	b = appendUse(b, " local_addr ", l.LocalAddrUsed, l.LocalAddrMax)
	b = append(b, " retransmitted "...)
	b = appendBytes(b, c.BytesRetransmitted)
	if c.Checksum {
		b = append(b, " checksum"...)
	}
	if !c.Pair.IsZero() {
		b = append(append(b, " pair "...), c.Pair.String()...)
	}
	b = appendField(b, " uid ", uint64(c.UID))
	b = appendField(b, " ino ", uint64(c.Inode))
	b = append(b, " sk "...)
	return strconv.AppendUint(b, c.Cookie, 16)
}

func (f *ConnectionText) appendProcesses(b []byte, c *mptcp.Connection) []byte {
	switch {
	case f.Unasked && c.Inode == 0:
	case len(c.Processes) > 0:
		for i, p := range c.Processes {
			if i == 0 {
				b = append(b, " process "...)
			} else {
				b = append(b, ',')
			}
			b = append(b, Escape(p.Name)...)
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(p.PID), 10)
			b = append(b, ']')
		}
	case c.Inode == 0 && !c.State.Closing():
		b = append(b, " unaccepted"...)
	case c.Inode == 0:
		b = append(b, " orphaned"...)
	}
	return b
}

// appendBranch starts the line of a subflow.
func (f *ConnectionText) appendBranch(b []byte, last bool) []byte {
	switch {
	case f.OneLine:
		return append(b, ` \ `...)
	case f.ASCII && last:
		return append(b, "\n  `- "...)
	case f.ASCII:
		return append(b, "\n  |- "...)
	case last:
		return append(b, "\n  └─ "...)
	}
	return append(b, "\n  ├─ "...)
}

func (f *ConnectionText) appendSubflow(b []byte, s *mptcp.Subflow) []byte {
	b = f.appendSubflowState(b, s)
	b = append(b, ' ')
	b = f.appendFlow(b, s.Local, s.Remote)
	if s.Initial {
		b = append(b, " initial"...)
	}
	b = appendField(b, " id ", uint64(s.LocalID))
	b = appendField(b, ":", uint64(s.RemoteID))
	if s.Device != "" {
		b = append(b, " dev "...)
		b = append(b, f.Colors.Device...)
		b = append(b, Escape(s.Device)...)
		b = append(b, f.Colors.Reset...)
	}
	switch {
	case s.BackupLocal && s.BackupRemote:
		b = append(b, " backup both"...)
	case s.BackupLocal:
		b = append(b, " backup local"...)
	case s.BackupRemote:
		b = append(b, " backup peer"...)
	}
	b = append(b, " rtt "...)
	b = appendMillis(b, s.RTTMicros)
	b = append(b, '/')
	b = appendMillis(b, s.RTTVarMicros)
	b = append(b, "ms"...)
	b = appendField(b, " cwnd ", uint64(s.Cwnd))
	b = append(b, " sent "...)
	b = appendBytes(b, s.BytesSent)
	b = append(b, " received "...)
	b = appendBytes(b, s.BytesReceived)
	if s.BytesRetransmitted > 0 {
		b = append(b, " retransmitted "...)
		b = appendBytes(b, s.BytesRetransmitted)
	}
	b = append(b, " share "...)
	b = strconv.AppendInt(b, int64(s.Share*100+0.5), 10)
	b = append(b, '%')
	if s.Limit != nil {
		b = append(b, " limit "...)
		b = append(b, Escape(s.Limit.String())...)
	}
	if f.Details {
		b = f.appendSubflowDetails(b, s)
	}
	return b
}

func (f *ConnectionText) appendSubflowDetails(b []byte, s *mptcp.Subflow) []byte {
	b = append(b, " tcp "...)
	b = append(b, s.TCP.String()...)
	if s.Bound {
		b = append(b, " bound"...)
	}
	if !s.FullyEstablished {
		b = append(b, " not-fully-established"...)
	}
	if s.TokenRemote != 0 {
		b = append(b, " token_remote "...)
		b = s.TokenRemote.Append(b)
	}
	if s.Backoff > 0 {
		b = appendField(b, " backoff ", uint64(s.Backoff))
	}
	if s.Unacked > 0 {
		b = appendField(b, " unacked ", uint64(s.Unacked))
	}
	b = appendField(b, " last_ack ", uint64(s.LastAckMS))
	b = append(b, "ms sk "...)
	return strconv.AppendUint(b, s.Cookie, 16)
}

// appendSubflowState appends the state in the colour of how good it is.
func (f *ConnectionText) appendSubflowState(b []byte, s *mptcp.Subflow) []byte {
	color := ""
	switch s.State {
	case mptcp.SubflowEstablished:
		color = f.Colors.Good
	case mptcp.SubflowPending, mptcp.SubflowStale, mptcp.SubflowSilent:
		color = f.Colors.Warn
	case mptcp.SubflowClosing, mptcp.SubflowClosed, mptcp.SubflowUnknown:
		color = f.Colors.Dim
	}
	b = append(b, color...)
	b = append(b, s.State.String()...)
	if color != "" {
		b = append(b, f.Colors.Reset...)
	}
	return b
}

// appendFlow appends both ends of a flow.
func (f *ConnectionText) appendFlow(b []byte, local, remote netip.AddrPort) []byte {
	b = f.appendAddrPort(b, local)
	b = append(b, " > "...)
	return f.appendAddrPort(b, remote)
}

func (f *ConnectionText) appendAddrPort(b []byte, a netip.AddrPort) []byte {
	color := f.Colors.IPv4
	if a.Addr().Is6() {
		color = f.Colors.IPv6
	}
	b = append(b, color...)
	b = a.AppendTo(b)
	return append(b, f.Colors.Reset...)
}

func appendUse(b []byte, key string, used, limit uint8) []byte {
	b = appendField(b, key, uint64(used))
	return appendField(b, "/", uint64(limit))
}
