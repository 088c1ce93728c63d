package mptcp

import (
	"net/netip"
	"strconv"
	"time"
)

// EventType tells what a message of the path manager's event group says. The
// numbers below 256 are the kernel's (enum mptcp_event_type). Unknown ones are
// kept: a newer kernel may send them.
type EventType uint16

// The events that the kernel sends, since Linux 5.12 where not said otherwise.
const (
	EventCreated            EventType = 1  // a connection: SYN/ACK or third ACK with MP_CAPABLE
	EventEstablished        EventType = 2  // fully established: additional subflows may start
	EventClosed             EventType = 3  // the application closed the socket
	EventAnnounced          EventType = 6  // the peer announced an address
	EventRemoved            EventType = 7  // the peer withdrew an address
	EventSubflowEstablished EventType = 10 // an additional subflow came up
	EventSubflowClosed      EventType = 11 // a subflow ended while the connection goes on
	EventSubflowPriority    EventType = 13 // the peer changed the priority of a subflow
	EventListenerCreated    EventType = 15 // listen() on an MPTCP socket (6.2)
	EventListenerClosed     EventType = 16 // an MPTCP listener ended (6.2)

	// EventLost is not the kernel's: Event.Lost messages were dropped at this
	// place of the stream because the reader was too slow.
	EventLost EventType = 256
)

// String returns the name that iproute2 prints (since 6.2), and "UNKNOWN n" for
// an event that has none.
func (t EventType) String() string {
	if name := t.Name(); name != "" {
		return name
	}
	return "UNKNOWN " + strconv.Itoa(int(t))
}

// Name returns iproute2's name of the event, or "" where it has none.
func (t EventType) Name() string {
	switch t {
	case EventCreated:
		return "CREATED"
	case EventEstablished:
		return "ESTABLISHED"
	case EventClosed:
		return "CLOSED"
	case EventAnnounced:
		return "ANNOUNCED"
	case EventRemoved:
		return "REMOVED"
	case EventSubflowEstablished:
		return "SF_ESTABLISHED"
	case EventSubflowClosed:
		return "SF_CLOSED"
	case EventSubflowPriority:
		return "SF_PRIO"
	case EventListenerCreated:
		return "LISTENER_CREATED"
	case EventListenerClosed:
		return "LISTENER_CLOSED"
	case EventLost:
		return "LOST"
	}
	return ""
}

// EventTypes returns the events that the kernel sends, in the order of their
// numbers.
func EventTypes() []EventType {
	return []EventType{
		EventCreated, EventEstablished, EventClosed, EventAnnounced, EventRemoved,
		EventSubflowEstablished, EventSubflowClosed, EventSubflowPriority,
		EventListenerCreated, EventListenerClosed,
	}
}

// ParseEventType returns the event of that name, in iproute2's spelling.
func ParseEventType(name string) (EventType, bool) {
	for _, t := range append(EventTypes(), EventLost) {
		if t.Name() == name {
			return t, true
		}
	}
	return 0, false
}

// EventField is a set of the attributes that an event carried. An absent
// attribute is not a zero: a reset reason that is absent means that no MP_TCPRST
// was received, while 0 is a reason.
type EventField uint32

// The fields of an event. The bit is 1 << MPTCP_ATTR_*.
const (
	FieldToken       EventField = 1 << 1
	FieldFamily      EventField = 1 << 2
	FieldLocalID     EventField = 1 << 3
	FieldRemoteID    EventField = 1 << 4
	FieldSaddr4      EventField = 1 << 5
	FieldSaddr6      EventField = 1 << 6
	FieldDaddr4      EventField = 1 << 7
	FieldDaddr6      EventField = 1 << 8
	FieldSport       EventField = 1 << 9
	FieldDport       EventField = 1 << 10
	FieldBackup      EventField = 1 << 11
	FieldError       EventField = 1 << 12
	FieldFlags       EventField = 1 << 13
	FieldTimeout     EventField = 1 << 14
	FieldIfIndex     EventField = 1 << 15
	FieldResetReason EventField = 1 << 16
	FieldResetFlags  EventField = 1 << 17
	FieldServerSide  EventField = 1 << 18
)

// EventFlags are the bits of the flags attribute of CREATED and ESTABLISHED.
type EventFlags uint16

// The flags of an event.
const (
	EventFlagDenyJoinID0 EventFlags = 1 << 0 // the peer set the C flag: no joins to its initial address (Linux 6.17)
	EventFlagServerSide  EventFlags = 1 << 1 // this host accepted the connection (6.18)
)

// Event is one message of the path manager's event group. It holds no pointer to
// the message that it was decoded from.
type Event struct {
	Type   EventType
	Fields EventField // which of the fields below the message carried

	Token       Token
	Family      Family // of the subflow; absent in ANNOUNCED
	LocalID     AddressID
	RemoteID    AddressID
	Source      netip.Addr // the local address, as the kernel gave it: may be v4-mapped
	Destination netip.Addr // the peer's address, as the kernel gave it
	Sport       uint16     // port of Source, in host order
	Dport       uint16     // port of Destination; of an announced address its own or the connection's
	Backup      uint8      // the peer's request for this subflow, not the local setting
	Error       Errno      // of the subflow's socket
	Flags       EventFlags
	Timeout     uint32 // never sent by a kernel up to 7.3
	IfIndex     int32  // only of subflows that are bound to a device
	ResetReason ResetReason
	ResetFlags  uint32 // bit 0: transient
	ServerSide  uint8  // up to Linux 6.17 always present as 0 or 1, later only as 1

	Lost  uint64        // with EventLost: how many messages
	Time  time.Time     // when the message was read; the kernel stamps none
	Late  time.Duration // how much earlier it may have come, where its reader had been stopped or busy; else 0
	Netns string        // the network namespace, "" for the reader's own
}

// Has reports whether the message carried all of these fields.
func (e *Event) Has(f EventField) bool { return e.Fields&f == f }

// Local returns the local address and port, unmapped, and whether the event has
// them.
func (e *Event) Local() (netip.AddrPort, bool) {
	return Unmap(netip.AddrPortFrom(e.Source, e.Sport)), e.Fields&(FieldSaddr4|FieldSaddr6) != 0
}

// Remote returns the peer's address and port, unmapped, and whether the event has
// them.
func (e *Event) Remote() (netip.AddrPort, bool) {
	return Unmap(netip.AddrPortFrom(e.Destination, e.Dport)), e.Fields&(FieldDaddr4|FieldDaddr6) != 0
}

// Side returns which side of the connection this host is, as far as a CREATED or
// ESTABLISHED event alone tells it. Up to Linux 5.18 and from 6.18 on the absence
// of both marks leaves it unknown here: only the kernel's version decides then.
func (e *Event) Side() Side {
	switch {
	case e.Has(FieldFlags) && e.Flags&EventFlagServerSide != 0, e.Has(FieldServerSide) && e.ServerSide == 1:
		return SideServer
	case e.Has(FieldServerSide):
		return SideClient
	}
	return SideUnknown
}

// DenyJoinID0 reports whether the peer forbids joins to the address of the
// initial subflow (RFC 8684 section 3.1, flag C).
func (e *Event) DenyJoinID0() bool {
	return e.Has(FieldFlags) && e.Flags&EventFlagDenyJoinID0 != 0
}
