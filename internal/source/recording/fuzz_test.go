package recording

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/pcapng"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// pieces are what the project's recordings consist of: one packet of each kind and
// length.
type pieces struct {
	family   []byte   // the kernel's answer about the family, without which nothing is read
	facts    [][]byte // JSON
	messages [][]byte // of netlink, with the cooked header
}

// piecesOf takes recordings apart.
func piecesOf(t testing.TB) pieces {
	t.Helper()
	var p pieces
	type kind struct {
		link   uint16
		length int
		first  string
	}
	seen := map[kind]bool{}
	for _, data := range recordings(t) {
		var file pcapng.File
		for packet, err := range pcapng.Parse(data, &file) {
			if err != nil {
				t.Fatal(err)
			}
			link := file.Interfaces[packet.Interface].LinkType
			k := kind{link, len(packet.Data) / 16, string(packet.Data[:min(24, len(packet.Data))])}
			if seen[k] || len(packet.Data) > 2000 {
				continue
			}
			seen[k] = true
			if _, m, _ := cooked(packet.Data); link == pcapng.LinkTypeNetlink &&
				nlmsg.Message(m).Type() == genericControl {
				p.family = packet.Data
			}
			if link == pcapng.LinkTypeUser0 {
				p.facts = append(p.facts, packet.Data)
			} else {
				p.messages = append(p.messages, packet.Data)
			}
		}
	}
	slices.SortFunc(p.facts, bytes.Compare) // seeds mean the same in each process
	slices.SortFunc(p.messages, bytes.Compare)
	return p
}

// script is what a fuzzer mutates: instructions to build a file of.
type script struct{ rest []byte }

func (s *script) byte() byte {
	if len(s.rest) == 0 {
		return 0
	}
	b := s.rest[0]
	s.rest = s.rest[1:]
	return b
}

// text takes up to 255 bytes.
func (s *script) text() []byte {
	n := min(int(s.byte()), len(s.rest))
	text := s.rest[:n]
	s.rest = s.rest[n:]
	return text
}

// from takes one of the pieces, with up to 7 bytes of it changed.
func (s *script) from(all [][]byte) []byte {
	piece := bytes.Clone(all[(int(s.byte())|int(s.byte())<<8)%len(all)])
	for range s.byte() % 8 {
		at := (int(s.byte()) | int(s.byte())<<8) % max(len(piece), 1)
		if len(piece) > 0 {
			piece[at] = s.byte()
		}
	}
	return piece
}

// The instructions of a script.
const (
	putInterface = iota
	putFact      // one of the recordings'
	putOwnFact
	putPartOfFact
	putMessage // one of the recordings'
	putOwnMessage
	putRaw
	passTime
	instructions
)

// build makes the file that the script tells of. One that begins like a file is one.
func (p *pieces) build(data []byte) []byte {
	if len(data) > 4 && binary.NativeEndian.Uint32(data) == 0x0a0d0d0a {
		return data
	}
	s := &script{data}
	b := pcapng.AppendSection(nil, pcapng.Section{})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeNetlink, Name: "a"})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeUser0, Name: "a"})
	interfaces, now := 2, time.Unix(1_700_000_000, 0)
	b = pcapng.AppendPacket(b, pcapng.Packet{Time: now, Data: p.family})
	put := func(link int, data []byte) {
		b = pcapng.AppendPacket(
			b,
			pcapng.Packet{Interface: (link + 2*int(s.byte())) % interfaces, Time: now, Data: data},
		)
	}
	for len(s.rest) > 0 && len(b) < 1<<16 {
		switch s.byte() % instructions {
		case putInterface:
			link := []uint16{pcapng.LinkTypeNetlink, pcapng.LinkTypeUser0, 1}[s.byte()%3]
			b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: link, Name: string(s.text())})
			interfaces++
		case putFact:
			put(1, s.from(p.facts))
		case putOwnFact:
			put(1, s.text())
		case putPartOfFact:
			part, err := appendFact(nil, &Fact{Fact: factPart, Part: s.from(p.facts), More: s.byte()%2 == 1})
			if err == nil {
				put(1, part)
			}
		case putMessage:
			put(0, s.from(p.messages))
		case putOwnMessage:
			family := []uint16{NetlinkGeneric, NetlinkSockDiag}[s.byte()%2]
			put(0, append(appendCooked(nil, family), s.text()...))
		case putRaw:
			b = append(b, s.text()...)
		case passTime:
			now = now.Add(time.Duration(int8(s.byte())) * 100 * time.Millisecond)
		}
	}
	return b
}

// FuzzRecording has everything asked of a file that may be anything. Whatever it
// says, it says twice the same, and what it costs is in the order of its size.
func FuzzRecording(f *testing.F) {
	p := piecesOf(f)
	f.Add([]byte{})
	f.Add(pcapng.AppendSection(nil, pcapng.Section{}))
	whole := []byte{}
	for i := range p.messages { // the family comes first, events and rows behind it
		whole = append(whole, putMessage, byte(i), byte(i>>8), 0, 0)
	}
	f.Add(whole[:min(len(whole), 5*40)])
	for i := range p.facts {
		f.Add([]byte{putFact, byte(i), byte(i >> 8), 1, 20, 0, '"', 0})
	}
	for _, kind := range []string{FactSnapshot, FactEnd, FactGone, FactLost, FactSockets} {
		text, err := appendFact(nil, &Fact{Fact: kind, Protocol: 262, Lost: 3})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{putOwnFact, byte(len(text))}, append(text, 0)...))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		data := p.build(script)
		first, err := Parse(data)
		again, errAgain := Parse(data)
		if (err == nil) != (errAgain == nil) {
			t.Fatalf("%v, then %v", err, errAgain)
		}
		if read, errRead := pcapng.Read(bytes.NewReader(data), func(int) error { return nil }); errRead == nil {
			if _, errRead = Parse(read); (errRead == nil) != (err == nil) {
				t.Fatalf("%v, without what is passed over: %v", err, errRead)
			}
		}
		if err != nil {
			if errors.Is(err, ErrInflated) {
				t.Fatalf("%d bytes: %v", len(data), err)
			}
			return
		}
		askRecording(t, first, again)
	})
}

// askRecording asks a recording everything, and again one of the same bytes.
func askRecording(t *testing.T, r, again *Recording) {
	events := 0
	for batch := range r.Events() {
		for i := range batch {
			if batch[i].Type != mptcp.EventLost || batch[i].Lost == 1 {
				events++
			}
		}
	}
	if events < r.events {
		t.Fatalf("%d events of %d", events, r.events)
	}
	for at, view := range r.States() {
		s, err := view.Snapshot(t.Context())
		if err != nil {
			continue
		}
		if len(r.snapshots) == 1 {
			o, err := again.snapshots[0].Snapshot(t.Context())
			if err != nil || !o.Time.Equal(at) || len(o.Connections) != len(s.Connections) ||
				len(o.Subflows) != len(s.Subflows) || len(o.Endpoints) != len(s.Endpoints) {
				t.Fatalf("%+v, then %+v, %v", s, o, err)
			}
		}
		track.Join(s)
		_, _ = view.Facts(t.Context(), nil)
		_, _ = view.MPTCPCounters()
		_, _ = view.Listeners(t.Context())
		_, _ = view.Paths(t.Context(), hostnet.LookupRequest{})
		view.DeviceName(2)
	}
}
