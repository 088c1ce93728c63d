package chronicle

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

func TestLineIsReadBack(t *testing.T) {
	at := time.Date(2026, 12, 1, 3, 0, 0, 105713678, time.UTC)
	for _, l := range []Line{
		{Seq: 1, Time: at, Kind: KindStop},
		{Seq: 48211, Time: at, Kind: KindEvent, Pair: mptcp.NewPair(1, 2), Object: []byte(`{"event":"CREATED","kind":"x","seq":[1,{"a":"}"}]}`)},
		{Seq: 1<<64 - 1, Time: at.Add(time.Nanosecond), Kind: "later", Object: []byte(`"\"}\\"`)},
	} {
		text := l.Append(nil)
		back, err := Parse(text)
		if err != nil || !reflect.DeepEqual(back, l) {
			t.Errorf("%s: %+v, %v", text, back, err)
		}
		if !json.Valid(text) || text[len(text)-1] != '\n' || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s is no line of JSON", text)
		}
	}
	const want = `{"seq":7,"t":"2026-12-01T03:00:00.000000000Z","kind":"lost","lost":{"lines":3,"where":"disk"}}` + "\n"
	l := Line{Seq: 7, Time: at.Truncate(time.Second), Kind: KindLost, Object: Gap{3, "disk"}.Append(nil)}
	if got := l.Append(nil); string(got) != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestParseSkipsWhatItDoesNotKnow(t *testing.T) {
	const text = ` { "new" : [ {} , [ ] , null, -1.5e3 ], "kind":"event" , "host":"a", "b":{"c":{}}, "d":1, "e":2, ` +
		`"event" : {"event":"CLOSED"} ,"seq": 5,"t":"2026-12-01T04:00:00+01:00"} `
	l, err := Parse([]byte(text))
	if err != nil || l.Seq != 5 || l.Kind != KindEvent || string(l.Object) != `{"event":"CLOSED"}` ||
		!l.Time.Equal(time.Date(2026, 12, 1, 3, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "{", "{}", "[]", "nonsense", `{"seq":1}`, `{"seq":-1,"t":"2026-12-01T03:00:00Z","kind":"stop"}`,
		`{"seq":1,"t":"2026-12-01T03:00:00Z","kind":"stop"`, `{"seq":1,"t":"yesterday","kind":"stop"}`,
		`{"seq":1,"t":"2026-12-01T03:00:00Z","kind":"A\u0000"}`, `{"seq":1,"t":"2026-12-01T03:00:00Z","kind":"stop"}{}`,
		`{"seq":1,"t":"2026-12-01T03:00:00Z","kind":"stop","pair":"12"}`, `{"seq":1 "t":2}`,
		`{"seq":0,"t":"2026-12-01T03:00:00Z","kind":"stop"}`, "{\"a\nb\":1}",
	} {
		if l, err := Parse([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %+v, %v", text, l, err)
		}
	}
}

// FuzzParse compares with encoding/json: what is read is what that reads, and a line that was
// written anew says the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"seq":7,"t":"2026-12-01T03:00:00.000000000Z","kind":"lost","lost":{"lines":3,"where":"disk"}}`))
	f.Add([]byte(`{"seq":1,"t":"2026-12-01T03:00:00Z","kind":"event","pair":"00112233445566778899aabbccddeeff","event":{"a":[]}}`))
	f.Add([]byte(`{"t":"2026-12-01T03:00:00Z","kind":"stop","seq":1,"x":"\\\"}"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(l.Append(nil))
		if err != nil || again.Seq != l.Seq || !again.Time.Equal(l.Time) || again.Kind != l.Kind ||
			again.Pair != l.Pair || !bytes.Equal(again.Object, l.Object) {
			t.Errorf("%q: %+v, then %+v, %v", text, l, again, err)
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(text, &members) != nil {
			return // the walk over values that nobody asked for is more tolerant
		}
		var seq uint64
		if err := json.Unmarshal(members["seq"], &seq); err != nil || seq != l.Seq {
			t.Errorf("%q: seq %d, want %d", text, l.Seq, seq)
		}
	})
}

// TestBooksHoldOverAnyRange loses lines of a history in every way, and adds up ranges of it.
func TestBooksHoldOverAnyRange(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var lines []Line
		told, silent := map[int]uint64{}, map[int]uint64{} // by the index of the line behind the gap
		seq := uint64(r.IntN(1000))
		for i := range 60 {
			l := Line{Kind: KindEvent}
			switch r.IntN(6) {
			case 0:
				n := 1 + r.Uint64N(5)
				seq += n
				told[i] = n
				l.Kind, l.Object = KindLost, Gap{n, "disk"}.Append(nil)
			case 1:
				n := 1 + r.Uint64N(5)
				seq += n
				silent[i] = n
			}
			seq++
			l.Seq = seq
			lines = append(lines, l)
		}
		from := r.IntN(len(lines))
		to := from + 1 + r.IntN(len(lines)-from)
		var books Books
		var lost, missing uint64
		for i := from; i < to; i++ {
			err := books.Add(&lines[i])
			if i == from {
				continue
			}
			lost, missing = lost+told[i], missing+silent[i]
			if (err != nil) != (silent[i] > 0) {
				t.Fatalf("line %d: %v with %d missing", lines[i].Seq, err, silent[i])
			}
		}
		if books.Lines+books.Lost+books.Missing != books.Last-books.First+1 || books.Lost != lost || books.Missing != missing {
			t.Fatalf("%+v, want %d lost and %d missing", books, lost, missing)
		}
	}
}
