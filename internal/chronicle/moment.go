package chronicle

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Moment is what was known at one moment, made of the lines up to it.
type Moment struct {
	Time  time.Time // of the last line
	Whole time.Time // when everything was written last: the begin of a file
	Host  string
	Run   string // of the observer, "" before the first
	Over  bool   // the observer had ended

	hosts       map[string]*Host
	connections map[mptcp.Key]*mptcp.Connection
	counters    map[string]map[string]uint64
	findings    map[string]json.RawMessage
	order       []string // names of findings as they came
}

// NewMoment returns one before all lines.
func NewMoment() *Moment {
	return &Moment{
		hosts: map[string]*Host{}, connections: map[mptcp.Key]*mptcp.Connection{},
		counters: map[string]map[string]uint64{}, findings: map[string]json.RawMessage{},
	}
}

// Apply takes the next line. An error is [ErrFormat]: what the line says is not known.
func (m *Moment) Apply(l *Line) error {
	if l.Time.After(m.Time) {
		m.Time = l.Time
	}
	switch l.Kind {
	case KindBegin:
		return m.begin(l)
	case KindHost:
		h := &Host{}
		if err := unmarshal(l.Object, h); err != nil {
			return err
		}
		m.hosts[h.Netns] = h
	case KindState, KindConnection:
		return m.connection(l)
	case KindEvent:
		return m.event(l)
	case KindFigures:
		return m.figures(l)
	case KindCounters:
		return m.count(l)
	case KindFinding:
		return m.finding(l)
	case KindStop:
		m.Over = true
	}
	return nil
}

func unmarshal(object []byte, into any) error {
	if err := json.Unmarshal(object, into); err != nil {
		return &formatError{err}
	}
	return nil
}

// formatError is an [ErrFormat] with its cause.
type formatError struct{ err error }

func (e *formatError) Error() string   { return ErrFormat.Error() + ": " + e.err.Error() }
func (e *formatError) Unwrap() []error { return []error{ErrFormat, e.err} }

// begin starts anew: a file is complete in itself.
func (m *Moment) begin(l *Line) error {
	var b Begin
	if err := unmarshal(l.Object, &b); err != nil {
		return err
	}
	clear(m.hosts)
	clear(m.connections)
	clear(m.findings)
	clear(m.counters)
	m.order = nil
	m.Host, m.Run, m.Whole, m.Over = b.Host, b.Run, l.Time, false
	return nil
}

func (m *Moment) connection(l *Line) error {
	c, err := ParseConnection(l)
	if err != nil {
		return err
	}
	if c.Change == Ended {
		delete(m.connections, c.Key())
		return nil
	}
	m.connections[c.Key()] = &c.Connection
	return nil
}

// event begins and ends connections that have no line of their own yet.
func (m *Moment) event(l *Line) error {
	told, err := ParseEvent(l.Object)
	if err != nil {
		return err
	}
	e := &told.Event
	switch {
	case told.Kind == track.KindAborted:
		delete(m.connections, told.Key)
	case told.Kind == track.KindFallback:
		if c := m.connections[told.Key]; c != nil {
			c.Fallback, c.FallbackCause = true, told.Cause
		}
	case told.Kind != track.KindEvent:
	case e.Type == mptcp.EventClosed:
		delete(m.connections, told.Key)
	case e.Type == mptcp.EventCreated:
		c := track.Begin(e)
		m.connections[told.Key] = &c
	default:
		if c := m.connections[told.Key]; c != nil {
			track.Follow(c, e)
		}
	}
	return nil
}

// row is one row of figures, in the order of docs/history.md.
type row struct {
	key           mptcp.Key
	local, remote string
	numbers       [4]uint64
}

func (r *row) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{
		&r.key.Token, &r.key.Instance, &r.key.Netns, &r.local, &r.remote,
		&r.numbers[0], &r.numbers[1], &r.numbers[2], &r.numbers[3],
	})
}

func (m *Moment) figures(l *Line) error {
	var rows []row
	if err := unmarshal(l.Object, &rows); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		c := m.connections[r.key]
		if c == nil {
			continue
		}
		for k := range c.Subflows {
			s := &c.Subflows[k]
			if s.Local.String() == r.local && s.Remote.String() == r.remote {
				s.BytesSent, s.BytesReceived, s.BytesRetransmitted = r.numbers[0], r.numbers[1], r.numbers[2]
				s.RTTMicros = uint32(min(r.numbers[3], 1<<32-1))
			}
		}
	}
	return nil
}

func (m *Moment) count(l *Line) error {
	var c Counted
	if err := unmarshal(l.Object, &c); err != nil {
		return err
	}
	values := m.counters[c.Netns]
	if values == nil || c.Total {
		values = map[string]uint64{}
		m.counters[c.Netns] = values
	}
	for name, more := range c.Moved {
		values[name] += more
	}
	return nil
}

func (m *Moment) finding(l *Line) error {
	var f struct {
		Change  string          `json:"change"`
		Rule    string          `json:"rule"`
		Subject json.RawMessage `json:"subject"`
	}
	if err := unmarshal(l.Object, &f); err != nil {
		return err
	}
	name := f.Rule + " " + string(f.Subject)
	if _, known := m.findings[name]; known {
		m.order = slices.DeleteFunc(m.order, func(n string) bool { return n == name })
		delete(m.findings, name)
	}
	if f.Change != "went" {
		m.findings[name] = slices.Clone(l.Object)
		m.order = append(m.order, name)
	}
	return nil
}

// Hosts returns what was set in each network namespace, the observer's own first.
func (m *Moment) Hosts() []*Host {
	list := make([]*Host, 0, len(m.hosts))
	for _, name := range slices.Sorted(maps.Keys(m.hosts)) {
		list = append(list, m.hosts[name])
	}
	return list
}

// Connections returns the connections that lived, in the order of their tokens.
func (m *Moment) Connections() []mptcp.Connection {
	keys := slices.SortedFunc(maps.Keys(m.connections), func(a, b mptcp.Key) int {
		switch {
		case a.Netns != b.Netns && a.Netns < b.Netns:
			return -1
		case a.Netns != b.Netns:
			return 1
		case a.Token != b.Token:
			return int(int64(a.Token) - int64(b.Token))
		}
		return int(int64(a.Instance) - int64(b.Instance))
	})
	list := make([]mptcp.Connection, len(keys))
	for i, k := range keys {
		list[i] = *m.connections[k]
	}
	return list
}

// Connection returns the connection with the key, nil where it did not live.
func (m *Moment) Connection(k mptcp.Key) *mptcp.Connection { return m.connections[k] }

// Counters returns the MPTCP counters of each network namespace, as far as they were told.
func (m *Moment) Counters() map[string]map[string]uint64 { return m.counters }

// Findings returns what doctor had found and not unsaid, in the order in which it came: the
// JSON of findings.
func (m *Moment) Findings() []json.RawMessage {
	list := make([]json.RawMessage, len(m.order))
	for i, name := range m.order {
		list[i] = m.findings[name]
	}
	return list
}

// Same reports whether connections of two moments are one: by their pair where both have one,
// else by token, addresses and ports. Instances begin anew with each observer.
func Same(a, b *mptcp.Connection) bool {
	switch {
	case a.Token != b.Token || a.Netns != b.Netns:
		return false
	case !a.Pair.IsZero() && !b.Pair.IsZero():
		return a.Pair == b.Pair
	}
	return a.Local == b.Local && a.Remote == b.Remote
}
