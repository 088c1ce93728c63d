package recording

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/pcapng"
)

// hostile begins a file that would be a recording of all namespaces.
func hostile(t *testing.T) []byte {
	t.Helper()
	b := pcapng.AppendSection(nil, pcapng.Section{})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeNetlink})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeUser0})
	b = pcapng.AppendPacket(b, pcapng.Packet{Time: time.Unix(1, 0), Data: piecesOf(t).family})
	return withFact(t, b, &Fact{Fact: FactRecording, All: true})
}

func withFact(t *testing.T, b []byte, f *Fact) []byte {
	t.Helper()
	b, err := AppendFactPacket(b, 1, time.Unix(1, 0), f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// withText is withFact of JSON that no fact becomes.
func withText(b []byte, text string) []byte {
	for len(text) > 0 {
		n := min(len(text), 1<<17)
		more := n < len(text)
		part, err := appendFact(nil, &Fact{Fact: factPart, Part: []byte(text[:n]), More: more})
		if err != nil {
			panic(err)
		}
		b, text = pcapng.AppendPacket(b, pcapng.Packet{Interface: 1, Time: time.Unix(1, 0), Data: part}), text[n:]
	}
	return b
}

// TestHostileRecordings opens small files that would become large ones. None may cost
// more memory than a small file may.
func TestHostileRecordings(t *testing.T) {
	begin := func() []byte { return hostile(t) }
	for name, make := range map[string]func() []byte{
		"a million routes": func() []byte {
			b := withFact(t, begin(), &Fact{Fact: FactSnapshot})
			return withText(b, `{"fact":"network","network":{"Routes":[`+strings.Repeat("{},", 1_000_000)+"{}]}}")
		},
		"a million processes": func() []byte {
			b := withFact(t, begin(), &Fact{Fact: FactSnapshot})
			return withText(b, `{"fact":"processes","processes":{"1":[`+strings.Repeat("{},", 1_000_000)+"{}]}}")
		},
		"unknown blocks": func() []byte {
			b := begin()
			for range 20 {
				b = unknownBlock(b, 15<<20)
			}
			return b
		},
		"one text": func() []byte {
			b := withFact(t, begin(), &Fact{Fact: FactSnapshot})
			return withText(b, `{"fact":"file","text":"`+strings.Repeat("x", 200<<20)+`"}`)
		},
		"very many interfaces": func() []byte {
			b := begin()
			for i := range 60_000 {
				b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeUser0, Name: fmt.Sprint(i)})
				b = pcapng.AppendPacket(b, pcapng.Packet{Interface: i + 2, Time: time.Unix(1, 0), Data: []byte("{}")})
			}
			return b
		},
		"very many empty snapshots": func() []byte {
			b := begin()
			for range 30_000 {
				b = withFact(t, withFact(t, b, &Fact{Fact: FactSnapshot}), &Fact{Fact: FactEnd})
			}
			return b
		},
		"very many events": func() []byte {
			event := piecesOf(t).messages[0][:CookedSize+nlmsg.HeaderSize]
			many := append(appendCooked(nil, NetlinkGeneric), bytes.Repeat(shortest(event), 900_000)...)
			return pcapng.AppendPacket(begin(), pcapng.Packet{Time: time.Unix(1, 0), Data: many})
		},
	} {
		t.Run(name, func(t *testing.T) {
			data := zipped(t, make())
			file := filepath.Join(t.TempDir(), "r.pcapng.gz")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			_, err := Open(file)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrInflated) {
				t.Errorf("%d bytes: error %v, want ErrInflated", len(data), err)
			}
			// Everything that was ever allocated: what grows is copied a few times.
			limit := uint64(6 * (allowanceBase + allowanceFactor*len(data)))
			if cost := after.TotalAlloc - before.TotalAlloc; cost > limit {
				t.Errorf("%d bytes cost %d MiB", len(data), cost>>20)
			}
		})
	}
}

// shortest makes a message of the family of the least length that there is.
func shortest(m []byte) []byte {
	m = bytes.Clone(m[CookedSize:])
	copy(m, []byte{nlmsg.HeaderSize, 0, 0, 0})
	return m
}

// unknownBlock appends a block of a type that is passed over.
func unknownBlock(b []byte, size int) []byte {
	start := len(b)
	b = pcapng.AppendPacket(b, pcapng.Packet{Time: time.Unix(1, 0), Data: make([]byte, size)})
	b[start] = 0x99
	return b
}

// TestUnknownBlocksAreNotHeld: what is not compressed may hold as much of what nobody
// knows as it likes.
func TestUnknownBlocksAreNotHeld(t *testing.T) {
	b := hostile(t)
	head := len(b)
	for range 6 {
		b = unknownBlock(b, 15<<20)
	}
	b = withFact(t, b, &Fact{Fact: FactStop})
	data, _, err := readBounded(bytes.NewReader(b), largestRecording)
	if err != nil || len(data) > head+1000 {
		t.Errorf("%d bytes of %d are held, %v", len(data), len(b), err)
	}
	if _, err := Parse(data); err != nil {
		t.Error(err)
	}
}

// TestAllowanceOfHonestRecordings: the project's recordings, compressed, use less than half
// of what they may, also without the part that every file may use.
func TestAllowanceOfHonestRecordings(t *testing.T) {
	for name, data := range recordings(t) {
		packed := int64(len(zipped(t, data)))
		allowance := NewAllowance(func() int64 { return packed })
		if _, err := Read(bytes.NewReader(data), allowance); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if 2*allowance.spent > allowanceFactor*packed {
			t.Errorf("%s: %d bytes cost %d", name, packed, allowance.spent)
		}
	}
}

// TestTextsOfEarlierSnapshots: a text that did not change since is found, and none of
// before the namespace went, nor of later.
func TestTextsOfEarlierSnapshots(t *testing.T) {
	b := hostile(t)
	for _, text := range []string{"one", "", "two", "gone", "", "three"} {
		if text == "gone" {
			b = withFact(t, b, &Fact{Fact: FactGone})
			continue
		}
		b = withFact(t, b, &Fact{Fact: FactSnapshot})
		if text != "" {
			b = withFact(t, b, &Fact{Fact: FactFile, Path: "p", Text: text})
		}
		b = withFact(t, b, &Fact{Fact: FactEnd})
	}
	r, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range r.snapshots {
		text, ok := s.file("p")
		got = append(got, fmt.Sprint(text, ok))
	}
	if want := "[onetrue onetrue twotrue false threetrue]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
