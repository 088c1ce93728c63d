package present

import (
	"net/netip"
	"strconv"
	"time"

	"mptcpctl/mptcp"
)

// TimeStyle tells how event lines show the time at which the event was read.
type TimeStyle uint8

// The styles, as the options -t and -ts of iproute2 choose them.
const (
	NoTime    TimeStyle = iota
	LongTime            // a line of its own before the event
	ShortTime           // in brackets in front of the line, local time
)

// EventText renders events as the lines of `ip mptcp monitor` (iproute2 7.1). The
// zero value is ready to use. It keeps a buffer of times and is not safe for
// concurrent use.
type EventText struct {
	Colors  Palette
	Time    TimeStyle
	Details bool   // also the names of error numbers and reset reasons, the namespace, and how late an event was read
	OneLine bool   // a record never has a line break within: '\' stands for it
	End     string // of an event's line; "" is a line break

	// Device returns the name of a device; nil leaves dev= out.
	Device func(ifindex int32) string

	clock clock
}

// nameWidth is the width of an event's name since iproute2 6.2 (14 before).
const nameWidth = 16

// padding is as many spaces; no name is longer.
const padding = "                "

// Append appends the event's line or lines, each with its line break.
func (f *EventText) Append(b []byte, e *mptcp.Event) []byte {
	b = f.appendTime(b, e.Time)
	name := e.Type.Name()
	if name == "" { // iproute2 prints neither width nor fields of what it does not know
		b = append(b, "[UNKNOWN "...)
		b = strconv.AppendUint(b, uint64(e.Type), 10)
		return f.appendBreak(append(b, ']'))
	}
	b = append(b, '[')
	b = append(b, padding[min(len(name), nameWidth):]...)
	b = append(b, name...)
	b = append(b, ']')
	if e.Type == mptcp.EventLost {
		b = append(b, " lost="...)
		b = strconv.AppendUint(b, e.Lost, 10)
		return f.appendEnd(b, e)
	}
	b = f.appendFlow(b, e)
	b = f.appendOutcome(b, e)
	return f.appendEnd(b, e)
}

// appendTime appends the time in front of the event, in the style of -t or -ts.
func (f *EventText) appendTime(b []byte, t time.Time) []byte {
	switch f.Time {
	case LongTime:
		b = append(b, "Timestamp: "...)
		b = appendLongTime(b, t)
		b = append(b, " usec"...)
		if f.OneLine && f.End != `\` { // iproute2 keeps this line break
			return append(b, '\\')
		}
		return append(b, '\n')
	case ShortTime:
		b = append(b, '[')
		b = f.clock.appendLocal(b, t)
		return append(b, "] "...)
	}
	return b
}

// appendLongTime appends the local time as asctime(3) has it, and the microseconds.
func appendLongTime(b []byte, t time.Time) []byte {
	b = t.Local().AppendFormat(b, "Mon Jan _2 15:04:05 2006 ")
	return strconv.AppendInt(b, int64(t.Nanosecond()/1000), 10)
}

// appendFlow appends what tells the connection and the subflow.
func (f *EventText) appendFlow(b []byte, e *mptcp.Event) []byte {
	if e.Has(mptcp.FieldToken) {
		b = append(b, " token="...)
		b = e.Token.Append(b)
	}
	if e.Has(mptcp.FieldRemoteID) {
		b = appendField(b, " remid=", uint64(e.RemoteID))
	}
	if e.Has(mptcp.FieldLocalID) {
		b = appendField(b, " locid=", uint64(e.LocalID))
	}
	if e.Has(mptcp.FieldSaddr4) {
		b = f.appendAddr(b, " saddr4=", f.Colors.IPv4, e.Source)
	}
	if e.Has(mptcp.FieldDaddr4) {
		b = f.appendAddr(b, " daddr4=", f.Colors.IPv4, e.Destination)
	}
	if e.Has(mptcp.FieldSaddr6) {
		b = f.appendAddr(b, " saddr6=", f.Colors.IPv6, e.Source)
	}
	if e.Has(mptcp.FieldDaddr6) {
		b = f.appendAddr(b, " daddr6=", f.Colors.IPv6, e.Destination)
	}
	if e.Has(mptcp.FieldSport) {
		b = appendField(b, " sport=", uint64(e.Sport))
	}
	if e.Has(mptcp.FieldDport) {
		b = appendField(b, " dport=", uint64(e.Dport))
	}
	return b
}

// appendOutcome appends priority, errors, device and reset.
func (f *EventText) appendOutcome(b []byte, e *mptcp.Event) []byte {
	if e.Has(mptcp.FieldBackup) {
		b = appendField(b, " backup=", uint64(e.Backup))
	}
	if e.Has(mptcp.FieldError) {
		b = appendField(b, " error=", uint64(e.Error))
	}
	if e.Has(mptcp.FieldTimeout) {
		b = appendField(b, " timeout=", uint64(e.Timeout))
	}
	if e.Has(mptcp.FieldIfIndex) {
		b = append(b, " ifindex="...)
		b = strconv.AppendInt(b, int64(e.IfIndex), 10)
		if f.Device != nil {
			b = append(b, " dev="...)
			b = append(b, f.Colors.Device...)
			b = append(b, Escape(f.Device(e.IfIndex))...)
			b = append(b, f.Colors.Reset...)
		}
	}
	if e.Has(mptcp.FieldResetReason) {
		b = appendField(b, " reset_reason=", uint64(e.ResetReason))
	}
	if e.Has(mptcp.FieldResetFlags) {
		b = append(b, " reset_flags="...)
		b = appendHex(b, uint64(e.ResetFlags))
	}
	if isServerSide(e) {
		b = append(b, " server_side"...)
	}
	if e.DenyJoinID0() {
		b = append(b, " deny_join_id0"...)
	}
	if rest := unknownFlags(e); rest != 0 {
		b = append(b, " flags="...)
		b = appendHex(b, uint64(rest))
	}
	return b
}

// appendEnd appends the details and the line break.
func (f *EventText) appendEnd(b []byte, e *mptcp.Event) []byte {
	if f.Details {
		if e.Has(mptcp.FieldError) {
			b = append(b, " error_name="...)
			b = append(b, e.Error.Name()...)
		}
		if e.Has(mptcp.FieldResetReason) {
			b = append(b, " reset_reason_name="...)
			b = append(b, e.ResetReason.String()...)
		}
	}
	if e.Netns != "" {
		b = append(b, " netns="...)
		b = append(b, Escape(e.Netns)...)
	}
	if f.Details && e.Late > 0 {
		b = appendField(b, " late_ms=", uint64(e.Late.Milliseconds()))
	}
	return f.appendBreak(b)
}

// appendBreak ends an event's line.
func (f *EventText) appendBreak(b []byte) []byte {
	if f.End == "" {
		return append(b, '\n')
	}
	return append(b, f.End...)
}

func (f *EventText) appendAddr(b []byte, key, color string, a netip.Addr) []byte {
	b = append(b, key...)
	b = append(b, color...)
	b = AppendAddress(b, a)
	return append(b, f.Colors.Reset...)
}

func appendField(b []byte, key string, value uint64) []byte {
	b = append(b, key...)
	return strconv.AppendUint(b, value, 10)
}

// appendHex appends n as printf's %#x does: zero has no prefix.
func appendHex(b []byte, n uint64) []byte {
	if n != 0 {
		b = append(b, "0x"...)
	}
	return strconv.AppendUint(b, n, 16)
}

func isServerSide(e *mptcp.Event) bool { return e.Side() == mptcp.SideServer }

// unknownFlags returns the flags of the event that have no name here.
func unknownFlags(e *mptcp.Event) mptcp.EventFlags {
	if !e.Has(mptcp.FieldFlags) {
		return 0
	}
	return e.Flags &^ (mptcp.EventFlagDenyJoinID0 | mptcp.EventFlagServerSide)
}
