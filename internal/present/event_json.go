package present

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"mptcpctl/mptcp"
)

// EventJSON renders events as JSON objects with iproute2's keys and ours. The zero
// value is ready to use; it is not safe for concurrent use.
type EventJSON struct {
	// IPRoute2 gives iproute2 7.1's objects and nothing more: the token as
	// unpadded "0x…", no time, no names.
	IPRoute2 bool

	Time   TimeStyle // with IPRoute2: the key timestamp or timestamp_short in front
	Pretty bool      // with IPRoute2: a key on each line

	// Device returns the name of a device; nil leaves dev out.
	Device func(ifindex int32) string

	clock   clock
	compact []byte
}

// Append appends the event's object, without a line break.
func (f *EventJSON) Append(b []byte, e *mptcp.Event) []byte {
	if !f.IPRoute2 {
		return f.appendObject(append(b, '{'), e)
	}
	start := len(b)
	b = f.appendObject(f.appendStamp(append(b, '{'), e.Time), e)
	if f.Pretty {
		f.compact = append(f.compact[:0], b[start:]...)
		b = appendSpread(b[:start], f.compact)
	}
	return b
}

// appendStamp appends the time as iproute2 7.1 does in JSON: the text of -t or -ts
// without what surrounds it, under a key for each.
func (f *EventJSON) appendStamp(b []byte, t time.Time) []byte {
	switch f.Time {
	case LongTime:
		b = append(b, `"timestamp":"`...)
		b = appendLongTime(b, t)
		return append(b, `",`...)
	case ShortTime:
		b = append(b, `"timestamp_short":"`...)
		b = f.clock.appendLocal(b, t)
		return append(b, `",`...)
	}
	return b
}

// appendSpread appends a flat object with a key on each line, in iproute2's layout.
func appendSpread(b, object []byte) []byte {
	const indent = "\n        "
	quoted, escaped := false, false
	for _, c := range object {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == ',':
			b = append(append(b, c), indent...)
			continue
		case c == ':':
			b = append(b, ": "...)
			continue
		case c == '}':
			b = append(b, "\n    "...)
		}
		b = append(b, c)
	}
	return b
}

// appendObject appends the event's keys, and what closes the object.
func (f *EventJSON) appendObject(b []byte, e *mptcp.Event) []byte {
	b = append(b, `"event":"`...)
	b = append(b, e.Type.String()...)
	b = append(b, '"')
	if e.Type == mptcp.EventLost {
		b = appendField(b, `,"lost":`, e.Lost)
		return f.appendEnd(b, e)
	}
	if e.Type.Name() == "" && f.IPRoute2 {
		return append(b, '}')
	}
	b = f.appendFlow(b, e)
	b = f.appendOutcome(b, e)
	return f.appendEnd(b, e)
}

func (f *EventJSON) appendFlow(b []byte, e *mptcp.Event) []byte {
	if e.Has(mptcp.FieldToken) {
		b = append(b, `,"token":"`...)
		if f.IPRoute2 {
			b = append(b, "0x"...)
			b = strconv.AppendUint(b, uint64(e.Token), 16)
		} else {
			b = e.Token.Append(b)
		}
		b = append(b, '"')
	}
	if e.Has(mptcp.FieldRemoteID) {
		b = appendField(b, `,"remid":`, uint64(e.RemoteID))
	}
	if e.Has(mptcp.FieldLocalID) {
		b = appendField(b, `,"locid":`, uint64(e.LocalID))
	}
	if e.Has(mptcp.FieldSaddr4) {
		b = appendAddrJSON(b, `,"saddr4":"`, e.Source)
	}
	if e.Has(mptcp.FieldDaddr4) {
		b = appendAddrJSON(b, `,"daddr4":"`, e.Destination)
	}
	if e.Has(mptcp.FieldSaddr6) {
		b = appendAddrJSON(b, `,"saddr6":"`, e.Source)
	}
	if e.Has(mptcp.FieldDaddr6) {
		b = appendAddrJSON(b, `,"daddr6":"`, e.Destination)
	}
	if e.Has(mptcp.FieldSport) {
		b = appendField(b, `,"sport":`, uint64(e.Sport))
	}
	if e.Has(mptcp.FieldDport) {
		b = appendField(b, `,"dport":`, uint64(e.Dport))
	}
	return b
}

func (f *EventJSON) appendOutcome(b []byte, e *mptcp.Event) []byte {
	if e.Has(mptcp.FieldBackup) {
		b = appendField(b, `,"backup":`, uint64(e.Backup))
	}
	if e.Has(mptcp.FieldError) {
		b = appendField(b, `,"error":`, uint64(e.Error))
	}
	if e.Has(mptcp.FieldTimeout) {
		b = appendField(b, `,"timeout":`, uint64(e.Timeout))
	}
	if e.Has(mptcp.FieldIfIndex) {
		b = append(b, `,"ifindex":`...)
		b = strconv.AppendInt(b, int64(e.IfIndex), 10)
		if f.Device != nil {
			b = append(b, `,"dev":`...)
			b = AppendString(b, f.Device(e.IfIndex))
		}
	}
	if e.Has(mptcp.FieldResetReason) {
		b = appendField(b, `,"reset_reason":`, uint64(e.ResetReason))
	}
	if e.Has(mptcp.FieldResetFlags) {
		b = append(b, `,"reset_flags":"`...)
		b = appendHex(b, uint64(e.ResetFlags))
		b = append(b, '"')
	}
	if isServerSide(e) {
		b = append(b, `,"server_side":true`...)
	}
	if e.DenyJoinID0() {
		b = append(b, `,"deny_join_id0":true`...)
	}
	if rest := unknownFlags(e); rest != 0 {
		b = append(b, `,"flags":"`...)
		b = appendHex(b, uint64(rest))
		b = append(b, '"')
	}
	return b
}

// appendEnd appends the keys that are ours and closes the object.
func (f *EventJSON) appendEnd(b []byte, e *mptcp.Event) []byte {
	if f.IPRoute2 {
		return append(b, '}')
	}
	if e.Has(mptcp.FieldError) {
		b = append(b, `,"error_name":"`...)
		b = append(b, e.Error.Name()...)
		b = append(b, '"')
	}
	if e.Has(mptcp.FieldResetReason) {
		b = append(b, `,"reset_reason_name":"`...)
		b = append(b, e.ResetReason.String()...)
		b = append(b, '"')
	}
	if e.Netns != "" {
		b = append(b, `,"netns":`...)
		b = AppendString(b, e.Netns)
	}
	b = append(b, `,"time":"`...)
	b = f.clock.appendUTC(b, e.Time)
	b = append(b, '"')
	if e.Late > 0 {
		b = appendField(b, `,"late_ms":`, uint64(e.Late.Milliseconds()))
	}
	return append(b, '}')
}

func appendAddrJSON(b []byte, key string, a netip.Addr) []byte {
	b = append(b, key...)
	b = AppendAddress(b, a)
	return append(b, '"')
}

// AppendString appends s as a JSON string; what is not UTF-8 becomes U+FFFD.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case isControl(r): // also those that JSON allows
			b = appendUnicode(b, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}
