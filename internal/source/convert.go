package source

import (
	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// Connection returns the socket in the module's vocabulary, without subflows.
func Connection(netns string, c *sockdiag.Connection) mptcp.Connection {
	var row mptcp.Connection
	FillConnection(&row, c)
	row.Netns = netns
	return row
}

// FillConnection is Connection for a variable that is used again and again.
func FillConnection(row *mptcp.Connection, c *sockdiag.Connection) {
	*row = mptcp.Connection{
		Token:  c.Info.Token,
		Family: c.Family,
		State:  c.State,
		Fallback: c.Info.Fallback() &&
			c.State != mptcp.StateSynSent, // no plain TCP yet: nothing was answered
		Local:              c.Local,
		Remote:             c.Remote,
		Inode:              c.Inode,
		UID:                c.UID,
		Cookie:             c.Cookie,
		BytesSent:          c.Info.BytesSent,
		BytesReceived:      c.Info.BytesReceived,
		BytesRetransmitted: c.Info.BytesRetransmitted,
		BytesAcked:         c.Info.BytesAcked,
		Checksum:           c.Info.Checksum,
		LastDataSentMS:     c.Info.LastDataSentMS,
		LastDataRecvMS:     c.Info.LastDataRecvMS,
		LastAckRecvMS:      c.Info.LastAckRecvMS,
		Limits:             c.Info.Limits(),
	}
}

// FillPair fills in the pair of the connection as the kernel tells it, and reports whether it
// is sure: see [sockdiag.Info.Pair].
func FillPair(row *mptcp.Connection, c *sockdiag.Connection) (sure bool) {
	row.Pair, sure = c.Info.Pair(c.State)
	return sure || row.Pair.IsZero()
}

// SubflowRow returns the TCP socket as a subflow, with what ties it to its
// connection.
func SubflowRow(s *sockdiag.Subflow) track.SubflowRow {
	var row track.SubflowRow
	FillSubflowRow(&row, s)
	return row
}

// FillSubflowRow is SubflowRow for a variable that is used again and again.
func FillSubflowRow(row *track.SubflowRow, s *sockdiag.Subflow) {
	// A client that fell back in the handshake has no mark of MPTCP left; a server
	// has always received MP_CAPABLE, or its socket is plain TCP.
	flags := s.MPTCP.Flags
	requested := flags&sockdiag.SubflowCapableLocal != 0 || flags&sockdiag.SubflowCapableRemote == 0
	if s.MPTCP.Join() {
		requested = flags&sockdiag.SubflowJoinLocal != 0
	}
	row.Token = s.MPTCP.TokenLocal
	row.HasToken = s.HasMPTCP && s.MPTCP.TokenLocal != 0
	row.Join = s.MPTCP.Join()
	row.Requested = requested
	fillSubflow(&row.Subflow, s)
}

// Subflow returns the TCP socket as a subflow.
func Subflow(s *sockdiag.Subflow) mptcp.Subflow {
	var row mptcp.Subflow
	fillSubflow(&row, s)
	return row
}

func fillSubflow(row *mptcp.Subflow, s *sockdiag.Subflow) {
	flags := s.MPTCP.Flags
	*row = mptcp.Subflow{
		Local:              s.Local,
		Remote:             s.Remote,
		LocalID:            s.MPTCP.LocalID,
		RemoteID:           s.MPTCP.RemoteID,
		TCP:                s.State,
		BackupLocal:        flags&sockdiag.SubflowBackupLocal != 0,
		BackupRemote:       flags&sockdiag.SubflowBackupRemote != 0,
		Bound:              s.IfIndex != 0,
		IfIndex:            s.IfIndex,
		TokenRemote:        s.MPTCP.TokenRemote,
		FullyEstablished:   flags&sockdiag.SubflowFullyEstablished != 0,
		Inode:              s.Inode,
		Cookie:             s.Cookie,
		RTTMicros:          s.TCP.RTTMicros,
		RTTVarMicros:       s.TCP.RTTVarMicros,
		MinRTTMicros:       s.TCP.MinRTTMicros,
		Cwnd:               s.TCP.Cwnd,
		BytesSent:          s.TCP.BytesSent,
		BytesReceived:      s.TCP.BytesReceived,
		BytesRetransmitted: s.TCP.BytesRetransmitted,
		LastAckMS:          s.TCP.LastAckRecvMS,
		LastDataSentMS:     s.TCP.LastDataSentMS,
		Backoff:            s.TCP.Backoff,
		Unacked:            s.TCP.Unacked,
		Lost:               s.TCP.Lost,
	}
}

// LinkFact returns what a tracker wants to know of a link.
func LinkFact(l *hostnet.Link) track.LinkFact {
	return track.LinkFact{Index: uint32(l.Index), Name: l.Name, Up: l.Up, Carrier: l.Carrier}
}

// AddressFact returns what a tracker wants to know of an address.
func AddressFact(a *hostnet.Address) track.AddressFact {
	return track.AddressFact{Addr: a.Addr.Unmap(), IfIndex: uint32(a.IfIndex)}
}

// CounterMap returns the counters by their names.
func CounterMap(values counters.Values) track.Counters {
	c := track.Counters{}
	for name, value := range values.All() {
		c[name] = value
	}
	return c
}
