package track

import (
	"net/netip"
	"slices"
	"time"

	"mptcpctl/internal/pages"
	"mptcpctl/mptcp"
)

// entry is a delta in the history, without pointers but for what few have. The
// entries of a connection are a list from the newest to the oldest; all share one
// ring, and a list ends where the ring has written over it.
type entry struct {
	time        int64 // Unix nanoseconds
	source      [16]byte
	destination [16]byte
	fields      mptcp.EventField
	previous    uint32 // number of the connection's entry before, low bits, plus one
	token       uint32
	note        uint32 // number of the note, plus one
	late        uint32 // milliseconds, see mptcp.Event.Late; losses belong to no connection
	instance    uint16
	sport       uint16
	dport       uint16
	family      uint16
	kind        uint16 // mptcp.EventType
	flags       uint16 // mptcp.EventFlags
	ifindex     int32
	reset       uint16 // reason in the low byte, flags above
	derived     Kind
	confidence  Confidence
	localID     uint8
	remoteID    uint8
	backup      uint8
	errno       uint8
	form        uint8 // entryMapped…, server side above
}

// Bits of entry.form: how the addresses were given.
const (
	entrySource4 = 1 << iota
	entryDestination4
	entrySource
	entryDestination
	entryServerSide
)

// note is what only derived deltas have.
type note struct {
	number   uint64
	cause    string
	evidence []string
}

// notesKept is how many notes are kept; they are rarer than entries.
const notesKept = 1 << 12

// history holds the last deltas of all connections.
type history struct {
	ring  pages.Writer[entry]
	pages pages.Table[entry]
	next  uint64 // number of the next entry; the first is 1
	size  uint64
	notes []*note // ring by number
	noted uint64
	given bool // a frozen view has the notes' slice too
}

func newHistory(total int) *history {
	h := &history{next: 1, size: uint64(total)}
	h.ring.Table = &h.pages
	return h
}

// add appends a delta of a connection whose newest entry was previous, and returns
// its number for the connection to keep.
func (h *history) add(d *Delta, previous uint32) uint32 {
	e := packEntry(d)
	e.previous = previous
	if d.Cause != "" || len(d.Evidence) > 0 {
		e.note = h.addNote(d)
	}
	*h.ring.At(uint32(h.next % h.size)) = e
	h.next++
	return uint32(h.next)
}

func (h *history) addNote(d *Delta) uint32 {
	n := &note{number: h.noted, cause: d.Cause, evidence: d.Evidence}
	switch {
	case len(h.notes) < notesKept:
		h.notes = append(h.notes, n) // behind the end of what views see
	case h.given:
		h.notes, h.given = slices.Clone(h.notes), false
		fallthrough
	default:
		h.notes[h.noted%notesKept] = n
	}
	h.noted++
	return uint32(h.noted)
}

// past is a history for reading.
type past struct {
	pages pages.Table[entry]
	next  uint64
	size  uint64
	notes []*note
}

func (h *history) view() past { return past{h.pages, h.next, h.size, h.notes} }

func (h *history) freeze() past {
	h.given = true
	return past{h.ring.Freeze(), h.next, h.size, h.notes}
}

// walk calls yield with the entries of the connection, newest first.
func (p *past) walk(k mptcp.Key, newest uint32, yield func(*entry) bool) {
	last := int64(-1)
	for n := newest; n != 0; {
		age := uint64(uint32(p.next) - n)
		if age >= min(p.size, p.next) || int64(age) <= last {
			return
		}
		last = int64(age)
		e := p.pages.At(uint32((p.next - age - 1) % p.size))
		if e.token != uint32(k.Token) || e.instance != uint16(k.Instance) || !yield(e) {
			return
		}
		n = e.previous
	}
}

// deltas returns at most limit deltas of the connection, oldest first.
func (p *past) deltas(k mptcp.Key, newest uint32, limit int) []Delta {
	var out []Delta
	p.walk(k, newest, func(e *entry) bool {
		if len(out) == limit {
			return false
		}
		d := e.unpack(k)
		if i := int(e.note) - 1; e.note != 0 && p.notes[i%notesKept].number == uint64(i) {
			d.Cause, d.Evidence = p.notes[i%notesKept].cause, p.notes[i%notesKept].evidence
		}
		out = append(out, d)
		return true
	})
	slices.Reverse(out)
	return out
}

func packEntry(d *Delta) entry {
	v := &d.Event
	e := entry{
		time: v.Time.UnixNano(), fields: v.Fields, token: uint32(d.Key.Token), instance: uint16(d.Key.Instance),
		late:    uint32(min(v.Late.Milliseconds(), 1<<32-1)),
		sport:   v.Sport,
		dport:   v.Dport,
		family:  uint16(v.Family),
		kind:    uint16(v.Type),
		flags:   uint16(v.Flags),
		ifindex: v.IfIndex,
		reset:   uint16(v.ResetReason&0xff) | uint16(v.ResetFlags&0xff)<<8, derived: d.Kind, confidence: d.Confidence,
		localID: uint8(v.LocalID), remoteID: uint8(v.RemoteID), backup: v.Backup, errno: uint8(v.Error),
	}
	if v.Time.IsZero() {
		e.time = 0
	}
	e.source = packAddr(v.Source, &e.form, entrySource, entrySource4)
	e.destination = packAddr(v.Destination, &e.form, entryDestination, entryDestination4)
	if v.ServerSide != 0 {
		e.form |= entryServerSide
	}
	return e
}

// unpack returns the delta of the entry, without its note.
func (e *entry) unpack(k mptcp.Key) Delta {
	d := Delta{Kind: e.derived, Key: k, Confidence: e.confidence}
	d.Event = mptcp.Event{
		Type: mptcp.EventType(e.kind), Fields: e.fields, Token: k.Token, Family: mptcp.Family(e.family),
		LocalID: mptcp.AddressID(e.localID), RemoteID: mptcp.AddressID(e.remoteID),
		Source:      unpackAddr(e.source, e.form, entrySource, entrySource4),
		Destination: unpackAddr(e.destination, e.form, entryDestination, entryDestination4),
		Sport:       e.sport, Dport: e.dport, Backup: e.backup, Error: mptcp.Errno(e.errno),
		Flags: mptcp.EventFlags(e.flags), IfIndex: e.ifindex,
		ResetReason: mptcp.ResetReason(e.reset & 0xff), ResetFlags: uint32(e.reset >> 8),
		Late: time.Duration(e.late) * time.Millisecond, Netns: k.Netns,
	}
	if e.time != 0 {
		d.Event.Time = time.Unix(0, e.time)
	}
	if e.form&entryServerSide != 0 {
		d.Event.ServerSide = 1
	}
	d.Name = d.Kind.String()
	if d.Kind == KindEvent {
		d.Name = d.Event.Type.String()
	}
	return d
}

func packAddr(a netip.Addr, form *uint8, here, four uint8) [16]byte {
	switch {
	case !a.IsValid():
		return [16]byte{}
	case a.Is4():
		*form |= four
	}
	*form |= here
	return a.As16()
}

func unpackAddr(b [16]byte, form, here, four uint8) netip.Addr {
	switch {
	case form&here == 0:
		return netip.Addr{}
	case form&four != 0:
		return netip.AddrFrom16(b).Unmap()
	}
	return netip.AddrFrom16(b)
}
