package chronicle

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Told is what an event line says.
type Told struct {
	track.Delta
	Device string // name of the device of the event, "" where it has none
}

// eventObject is the object of an event line. What is a pointer may be absent.
type eventObject struct {
	Event       string      `json:"event"`
	Derived     bool        `json:"derived"`
	Lost        uint64      `json:"lost"`
	Token       *string     `json:"token"`
	RemoteID    *uint8      `json:"remid"`
	LocalID     *uint8      `json:"locid"`
	Saddr4      *netip.Addr `json:"saddr4"`
	Daddr4      *netip.Addr `json:"daddr4"`
	Saddr6      *netip.Addr `json:"saddr6"`
	Daddr6      *netip.Addr `json:"daddr6"`
	Sport       *uint16     `json:"sport"`
	Dport       *uint16     `json:"dport"`
	Backup      *uint8      `json:"backup"`
	Error       *uint8      `json:"error"`
	Timeout     *uint32     `json:"timeout"`
	IfIndex     *int32      `json:"ifindex"`
	Device      string      `json:"dev"`
	ResetReason *uint32     `json:"reset_reason"`
	ResetFlags  *string     `json:"reset_flags"`
	ServerSide  bool        `json:"server_side"`
	DenyJoinID0 bool        `json:"deny_join_id0"`
	Flags       string      `json:"flags"`
	Netns       string      `json:"netns"`
	Time        time.Time   `json:"time"`
	LateMS      int64       `json:"late_ms"`
	Cause       string      `json:"cause"`
	Confidence  string      `json:"confidence"`
	Evidence    []string    `json:"evidence"`
	Instance    uint32      `json:"instance"`
}

// ParseEvent reads the object of an event line. The error is [ErrFormat].
func ParseEvent(object []byte) (*Told, error) {
	var o eventObject
	if err := json.Unmarshal(object, &o); err != nil {
		return nil, fmt.Errorf("%w: event: %w", ErrFormat, err)
	}
	t := &Told{Device: o.Device}
	t.Name, t.Cause, t.Evidence = o.Event, o.Cause, o.Evidence
	if !o.typed(&t.Delta) {
		return nil, fmt.Errorf("%w: event %q", ErrFormat, o.Event)
	}
	for confidence := track.ConfidenceNone; confidence <= track.Certain; confidence++ {
		if confidence.String() == o.Confidence {
			t.Confidence = confidence
		}
	}
	e := &t.Event
	e.Lost, e.Netns, e.Time, e.Late = o.Lost, o.Netns, o.Time, time.Duration(o.LateMS)*time.Millisecond
	if err := o.flow(e); err != nil {
		return nil, fmt.Errorf("%w: event: %w", ErrFormat, err)
	}
	if err := o.outcome(e); err != nil {
		return nil, fmt.Errorf("%w: event: %w", ErrFormat, err)
	}
	t.Key = mptcp.Key{Netns: o.Netns, Token: e.Token, Instance: o.Instance}
	return t, nil
}

// typed sets what the event is, and reports whether that is known.
func (o *eventObject) typed(d *track.Delta) (ok bool) {
	if o.Derived {
		d.Kind, ok = track.ParseKind(o.Event)
		if !ok && o.Event == track.KindOverflow.String() {
			d.Kind, ok = track.KindOverflow, true
		}
		return ok
	}
	if d.Event.Type, ok = mptcp.ParseEventType(o.Event); ok {
		return true
	}
	number, err := strconv.ParseUint(strings.TrimPrefix(o.Event, "UNKNOWN "), 10, 8)
	d.Event.Type = mptcp.EventType(number)
	return err == nil
}

// set takes a value that is there, and notes that it is.
func set[T, U any](e *mptcp.Event, field mptcp.EventField, into *T, value *U, convert func(U) T) {
	if value != nil {
		e.Fields |= field
		*into = convert(*value)
	}
}

func same[T any](v T) T { return v }

func (o *eventObject) flow(e *mptcp.Event) error {
	if o.Token != nil {
		token, err := mptcp.ParseToken(*o.Token)
		if err != nil {
			return err
		}
		e.Token, e.Fields = token, e.Fields|mptcp.FieldToken
	}
	id := func(n uint8) mptcp.AddressID { return mptcp.AddressID(n) }
	set(e, mptcp.FieldRemoteID, &e.RemoteID, o.RemoteID, id)
	set(e, mptcp.FieldLocalID, &e.LocalID, o.LocalID, id)
	set(e, mptcp.FieldSaddr4, &e.Source, o.Saddr4, same)
	set(e, mptcp.FieldSaddr6, &e.Source, o.Saddr6, same)
	set(e, mptcp.FieldDaddr4, &e.Destination, o.Daddr4, same)
	set(e, mptcp.FieldDaddr6, &e.Destination, o.Daddr6, same)
	set(e, mptcp.FieldSport, &e.Sport, o.Sport, same)
	set(e, mptcp.FieldDport, &e.Dport, o.Dport, same)
	return nil
}

func (o *eventObject) outcome(e *mptcp.Event) error {
	set(e, mptcp.FieldBackup, &e.Backup, o.Backup, same)
	set(e, mptcp.FieldError, &e.Error, o.Error, func(n uint8) mptcp.Errno { return mptcp.Errno(n) })
	set(e, mptcp.FieldTimeout, &e.Timeout, o.Timeout, same)
	set(e, mptcp.FieldIfIndex, &e.IfIndex, o.IfIndex, same)
	set(e, mptcp.FieldResetReason, &e.ResetReason, o.ResetReason,
		func(n uint32) mptcp.ResetReason { return mptcp.ResetReason(n) })
	if o.ResetFlags != nil {
		flags, err := strconv.ParseUint(*o.ResetFlags, 0, 32)
		if err != nil {
			return err
		}
		e.ResetFlags, e.Fields = uint32(flags), e.Fields|mptcp.FieldResetFlags
	}
	if o.ServerSide {
		e.ServerSide, e.Fields = 1, e.Fields|mptcp.FieldServerSide
	}
	if o.DenyJoinID0 {
		e.Flags, e.Fields = e.Flags|mptcp.EventFlagDenyJoinID0, e.Fields|mptcp.FieldFlags
	}
	if o.Flags != "" {
		flags, err := strconv.ParseUint(o.Flags, 0, 16)
		if err != nil {
			return err
		}
		e.Flags, e.Fields = e.Flags|mptcp.EventFlags(flags), e.Fields|mptcp.FieldFlags
	}
	return nil
}

// Connected is what a line about a connection says.
type Connected struct {
	Instance   uint32           `json:"instance"`
	Change     Change           `json:"change"`
	How        string           `json:"how"`
	Trouble    []string         `json:"trouble"`
	Closed     []mptcp.Subflow  `json:"closed_subflows"`
	Connection mptcp.Connection `json:"connection"`
}

// Key returns what the connection is known by.
func (c *Connected) Key() mptcp.Key {
	return mptcp.Key{Netns: c.Connection.Netns, Token: c.Connection.Token, Instance: c.Instance}
}

// ParseConnection reads a line of the kind state or connection. The error is [ErrFormat].
func ParseConnection(l *Line) (*Connected, error) {
	var c Connected
	if err := json.Unmarshal(l.Object, &c); err != nil {
		return nil, fmt.Errorf("%w: connection: %w", ErrFormat, err)
	}
	if !l.Pair.IsZero() {
		c.Connection.Pair = l.Pair
	}
	return &c, nil
}

// ParseBegin reads the object of a line of the kind begin. The error is [ErrFormat].
func ParseBegin(object []byte) (*Begin, error) {
	b := &Begin{}
	return b, unmarshal(object, b)
}

// ParseHost reads the object of a line of the kind host. The error is [ErrFormat].
func ParseHost(object []byte) (*Host, error) {
	h := &Host{}
	return h, unmarshal(object, h)
}

// Found is what a line of the kind finding says, in short.
type Found struct {
	Change     string `json:"change"`
	Rule       string `json:"rule"`
	Severity   string `json:"severity"`
	Confidence string `json:"confidence"`
	Title      string `json:"title"`
}

// ParseFinding reads the object of a line of the kind finding. The error is [ErrFormat].
func ParseFinding(object []byte) (*Found, error) {
	f := &Found{}
	return f, unmarshal(object, f)
}
