package chronicle

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// rowsInLine is how many subflows one line of figures has at most.
const rowsInLine = 100

// Minute appends what is told once a minute: figures, counters, and what was left out.
func (t *Teller) Minute(b []byte, s *track.State) []byte {
	b = t.figures(b, s)
	b = t.counters(b, s)
	if object := t.passed.take(); object != nil {
		b = t.line(b, s.Time(), KindSummary, mptcp.Pair{}, object)
	}
	return b
}

// figures appends the figures of the subflows of connections whose bytes moved.
func (t *Teller) figures(b []byte, s *track.State) []byte {
	rows := 0
	object := t.object[:0]
	for now, before := range s.Since(t.figured) {
		if before != nil && !moved(&now.Connection, &before.Connection) || before == nil && t.figured == nil {
			continue
		}
		for i := range now.Connection.Subflows {
			if rows%rowsInLine == 0 {
				object = append(object[:0], '[')
			} else {
				object = append(object, ',')
			}
			object = appendFigures(object, now.Key, &now.Connection.Subflows[i])
			if rows++; rows%rowsInLine == 0 {
				b = t.line(b, s.Time(), KindFigures, mptcp.Pair{}, append(object, ']'))
			}
		}
	}
	if rows%rowsInLine != 0 {
		b = t.line(b, s.Time(), KindFigures, mptcp.Pair{}, append(object, ']'))
	}
	t.object, t.figured = object, s
	return b
}

func moved(now, before *mptcp.Connection) bool {
	if len(now.Subflows) != len(before.Subflows) {
		return true
	}
	sum := func(c *mptcp.Connection) (n uint64) {
		for i := range c.Subflows {
			n += c.Subflows[i].BytesSent + c.Subflows[i].BytesReceived + c.Subflows[i].BytesRetransmitted
		}
		return n
	}
	return sum(now) != sum(before)
}

// appendFigures appends a row: token, instance, network namespace, local and remote address
// with port, bytes sent, received and retransmitted, round-trip time in microseconds.
func appendFigures(b []byte, k mptcp.Key, s *mptcp.Subflow) []byte {
	b = k.Token.Append(append(b, `["`...))
	b = strconv.AppendUint(append(b, `",`...), uint64(k.Instance), 10)
	b = present.AppendString(append(b, ','), k.Netns)
	b = present.AppendString(append(b, ','), s.Local.String())
	b = present.AppendString(append(b, ','), s.Remote.String())
	for _, n := range []uint64{s.BytesSent, s.BytesReceived, s.BytesRetransmitted, uint64(s.RTTMicros)} {
		b = strconv.AppendUint(append(b, ','), n, 10)
	}
	return append(b, ']')
}

// Counted is the object of a line of the kind counters.
type Counted struct {
	Netns string            `json:"netns"`
	Total bool              `json:"total,omitempty"` // Moved has the values since the namespace began
	Moved map[string]uint64 `json:"moved"`           // by how much
}

// counters appends by how much the counters of each namespace moved. The first time their
// values are those since the namespace began.
func (t *Teller) counters(b []byte, s *track.State) []byte {
	for _, n := range s.Namespaces() {
		now := s.Counters(n.Netns)
		before := t.counted[n.Netns]
		c := Counted{Netns: n.Netns, Moved: map[string]uint64{}, Total: before == nil}
		for _, name := range slices.Sorted(maps.Keys(now)) {
			if more := now[name] - before[name]; now[name] > before[name] {
				c.Moved[name] = more
			}
		}
		t.counted[n.Netns] = now
		if len(c.Moved) == 0 {
			continue
		}
		b = t.count(b, s.Time(), &c)
	}
	return b
}

func (t *Teller) count(b []byte, at time.Time, c *Counted) []byte {
	object, err := json.Marshal(c)
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	return t.line(b, at, KindCounters, mptcp.Pair{}, present.EscapeJSON(object))
}

// Finding is what doctor found: the object of a line of the kind finding is its JSON with
// the key came or went.
type Finding struct {
	Name   string          // tells it from others: rule and subject
	Object json.RawMessage // as `doctor -j` has it
}

// Findings appends which findings came and which went since the last time.
func (t *Teller) Findings(b []byte, at time.Time, list []Finding) []byte {
	now := map[string]bool{}
	for _, f := range list {
		now[f.Name] = true
		if _, ok := t.found[f.Name]; ok {
			continue
		}
		t.found[f.Name] = f.Object
		b = t.line(b, at, KindFinding, mptcp.Pair{}, withChange(f.Object, "came"))
	}
	for _, name := range slices.Sorted(maps.Keys(t.found)) {
		if !now[name] {
			b = t.line(b, at, KindFinding, mptcp.Pair{}, withChange(t.found[name], "went"))
			delete(t.found, name)
		}
	}
	return b
}

// withChange puts the change into an object, at its beginning.
func withChange(object []byte, change string) []byte {
	b := append([]byte(`{"change":"`), change...)
	b = append(b, '"')
	if len(object) > 2 {
		b = append(b, ',')
	}
	return append(b, present.EscapeJSON(object)[1:]...)
}

// passed counts what was left out where there is too much to write in full.
type passed struct {
	Events      map[string]uint64 `json:"events,omitempty"`
	Connections uint64            `json:"connections,omitempty"`
	Sent        uint64            `json:"bytes_sent,omitempty"`
	Received    uint64            `json:"bytes_received,omitempty"`
}

func (p *passed) event(name string) {
	if p.Events == nil {
		p.Events = map[string]uint64{}
	}
	p.Events[name]++
}

func (p *passed) connection(c *mptcp.Connection) {
	p.Connections++
	p.Sent += c.BytesSent
	p.Received += c.BytesReceived
}

// take returns the object of what was left out since the last time, nil for nothing.
func (p *passed) take() []byte {
	if p.Events == nil && p.Connections == 0 {
		return nil
	}
	object, err := json.Marshal(p)
	if err != nil {
		panic(err) // it holds texts and numbers
	}
	*p = passed{}
	return object
}
