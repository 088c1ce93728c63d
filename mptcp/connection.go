package mptcp

import (
	"net/netip"
	"time"
)

// Side tells which end of a connection this host is.
type Side uint8

// The sides of a connection.
const (
	SideUnknown Side = iota
	SideClient       // this host connected
	SideServer       // this host accepted
)

// String returns "client", "server" or "unknown".
func (s Side) String() string {
	switch s {
	case SideClient:
		return "client"
	case SideServer:
		return "server"
	}
	return "unknown"
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (s Side) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Side) UnmarshalText(text []byte) error {
	switch string(text) {
	case "client":
		*s = SideClient
	case "server":
		*s = SideServer
	default:
		*s = SideUnknown
	}
	return nil
}

// Process is a process that holds a socket.
type Process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // as the process calls itself: foreign, escape it before showing
}

// ConnectionLimits are the limits that the path manager applies to one
// connection, and how far they are used. All are 0 with a userspace path manager.
type ConnectionLimits struct {
	Subflows           uint8 `json:"subflows"`     // additional subflows, pending ones included
	SubflowsMax        uint8 `json:"subflows_max"` // 0: none allowed
	AddAddrSignal      uint8 `json:"add_addr_signal"`
	AddAddrSignalMax   uint8 `json:"add_addr_signal_max"`
	AddAddrAccepted    uint8 `json:"add_addr_accepted"`
	AddAddrAcceptedMax uint8 `json:"add_addr_accepted_max"`
	LocalAddrUsed      uint8 `json:"local_addr_used"`
	LocalAddrMax       uint8 `json:"local_addr_max"`
}

// Full reports whether the connection has as many additional subflows as it may have. One
// that may have none is not full.
func (l *ConnectionLimits) Full() bool { return l.SubflowsMax > 0 && l.Subflows >= l.SubflowsMax }

// Connection is an MPTCP connection as one end sees it, with its subflows.
type Connection struct {
	Token         Token       `json:"token"`
	Pair          Pair        `json:"pair,omitzero"` // the name that both ends compute; none before Linux 6.5
	Netns         string      `json:"netns"`         // "" for the reader's own
	Family        Family      `json:"family"`
	Side          Side        `json:"side"`
	State         SocketState `json:"state"`
	Fallback      bool        `json:"fallback"` // plain TCP is spoken, for good
	FallbackCause string      `json:"fallback_cause,omitempty"`

	Local  netip.AddrPort `json:"local"`  // unmapped
	Remote netip.AddrPort `json:"remote"` // unmapped

	Inode     uint32    `json:"inode"` // 0: not accepted yet, or closed by its process
	UID       uint32    `json:"uid"`
	Cookie    uint64    `json:"-"`
	Processes []Process `json:"processes"`

	Since       time.Time `json:"since,omitzero"` // when an observer saw it created
	PathManager string    `json:"path_manager,omitempty"`

	BytesSent          uint64 `json:"bytes_sent"` // before Linux 6.5, as BytesReceived, the sum of those of Subflows
	BytesReceived      uint64 `json:"bytes_received"`
	BytesRetransmitted uint64 `json:"bytes_retransmitted"` // 0 before Linux 6.5, as BytesAcked
	BytesAcked         uint64 `json:"bytes_acked"`
	Checksum           bool   `json:"checksum"`

	LastDataSentMS uint32 `json:"last_data_sent_ms"` // 0 before Linux 6.10
	LastDataRecvMS uint32 `json:"last_data_recv_ms"`
	LastAckRecvMS  uint32 `json:"last_ack_recv_ms"`

	Limits   ConnectionLimits `json:"limits"`
	Subflows []Subflow        `json:"subflows"`
}

// SubflowsUp returns how many of the subflows came up and have not ended.
func (c *Connection) SubflowsUp() int {
	up := 0
	for i := range c.Subflows {
		if c.Subflows[i].State.Up() {
			up++
		}
	}
	return up
}

// SubflowFrom returns the subflow of the connection that starts from the address: one
// that is up before one that is pending or closing, and nil where all have closed or
// there is none. IPv4 addresses and their v4-mapped forms are the same, and the zone of
// an address does not count.
func (c *Connection) SubflowFrom(local netip.Addr) *Subflow {
	local = local.Unmap().WithZone("")
	var found *Subflow
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if s.State == SubflowClosed || s.Local.Addr().Unmap().WithZone("") != local {
			continue
		}
		if found == nil || s.State.Up() && !found.State.Up() {
			found = s
		}
	}
	return found
}

// Subflow is one TCP flow of a connection.
type Subflow struct {
	Local    netip.AddrPort `json:"local"`  // unmapped
	Remote   netip.AddrPort `json:"remote"` // unmapped
	LocalID  AddressID      `json:"local_id"`
	RemoteID AddressID      `json:"remote_id"`

	Initial bool         `json:"initial"` // the subflow that the connection started with
	State   SubflowState `json:"state"`
	TCP     SocketState  `json:"tcp_state"`

	BackupLocal  bool `json:"backup_local"`  // this host asked for it
	BackupRemote bool `json:"backup_remote"` // the peer asked for it
	// that it is bound to, else by which the routes send its packets; "" where neither is known
	Device      string `json:"device"`
	Bound       bool   `json:"bound"` // the socket is bound to Device
	IfIndex     uint32 `json:"-"`
	TokenRemote Token  `json:"token_remote,omitzero"` // the peer's token, on joins made here

	FullyEstablished bool   `json:"fully_established"`
	Inode            uint32 `json:"-"`
	Cookie           uint64 `json:"-"`

	RTTMicros          uint32  `json:"rtt_us"`
	RTTVarMicros       uint32  `json:"rttvar_us"`
	MinRTTMicros       uint32  `json:"min_rtt_us"`
	Cwnd               uint32  `json:"cwnd"` // segments
	BytesSent          uint64  `json:"bytes_sent"`
	BytesReceived      uint64  `json:"bytes_received"`
	BytesRetransmitted uint64  `json:"bytes_retransmitted"`
	Share              float64 `json:"share"` // of the bytes of all subflows, 0 to 1
	LastAckMS          uint32  `json:"last_ack_ms"`
	LastDataSentMS     uint32  `json:"last_data_sent_ms"`
	Backoff            uint8   `json:"backoff"` // doublings of the retransmission timeout
	Unacked            uint32  `json:"unacked"` // segments
	Lost               uint32  `json:"lost"`    // segments

	Limit *RateLimit `json:"limit,omitempty"` // nil: not looked for, or the looks did not tell
}

// BackupWords returns which end asked for the subflow to be a backup, behind a comma, as in
// ", backup by the peer's wish"; "" where it is none.
func (s *Subflow) BackupWords() string {
	switch {
	case s.BackupLocal && s.BackupRemote:
		return ", backup by the wish of both ends"
	case s.BackupLocal:
		return ", backup by this host's wish"
	case s.BackupRemote:
		return ", backup by the peer's wish"
	}
	return ""
}
