package chronicle

import (
	"hash/maphash"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Config says who tells.
type Config struct {
	Host     string // name of the host
	Boot     string // tells one boot of the host from another
	Run      string // tells one run of the observer from another
	Program  string
	Kernel   string
	NoEvents string // why there are no events of the kernel, "" where there are
	// Device returns the name of a device; nil leaves names out.
	Device func(netns string, index int32) string
	// Busy is how many lines a second are written in full. Beyond that, what is usual is
	// counted in lines of the kind summary. 0: no bound.
	Busy int
}

// Teller makes lines of what a tracker sees. It is not safe for concurrent use. Each method
// appends lines to b.
type Teller struct {
	config Config
	last   uint64 // number of the last line
	format present.EventJSON
	netns  string // of the delta that is being rendered
	object []byte // of the line that is being made

	live     map[mptcp.Key]*known
	held     map[mptcp.Key][]mptcp.Process // who held the live connections
	round    uint32
	ended    mptcp.Key // the connection whose end was told last
	anyEnded bool
	hosts    map[string]string // objects of the last host lines, by namespace
	counted  map[string]track.Counters
	figured  *track.State // whose figures were told last
	found    map[string][]byte
	seed     printSeed

	second  time.Time // the running second
	written int       // lines of that second
	passed  passed    // what was left out
}

// known is what was told of a live connection.
type known struct {
	print uint64 // of its subflows
	told  bool
	first uint32 // the look that saw it first
	round uint32 // and that which saw it last
}

// NewTeller makes a teller whose first line has the number behind last.
func NewTeller(c *Config, last uint64) *Teller {
	t := &Teller{
		config: *c, last: last, live: map[mptcp.Key]*known{}, hosts: map[string]string{},
		held:    map[mptcp.Key][]mptcp.Process{},
		counted: map[string]track.Counters{}, found: map[string][]byte{}, seed: maphash.MakeSeed(),
	}
	if c.Device != nil {
		t.format.Device = func(index int32) string { return c.Device(t.netns, index) }
	}
	return t
}

// Last returns the number of the last line.
func (t *Teller) Last() uint64 { return t.last }

// line appends a line with the object.
func (t *Teller) line(b []byte, at time.Time, kind Kind, pair mptcp.Pair, object []byte) []byte {
	t.last++
	t.written++
	l := Line{Seq: t.last, Time: at, Kind: kind, Pair: pair, Object: object}
	return l.Append(b)
}

// Delta appends what happened: an event of the kernel, or what the tracker derived.
func (t *Teller) Delta(b []byte, d *track.Delta) []byte {
	at := d.Event.Time
	if d.Kind == track.KindOverflow {
		return t.Lost(b, at, d.Event.Lost, "observer")
	}
	if t.busy(at) && usual(d) {
		t.passed.event(d.Name)
		return b
	}
	t.netns = d.Event.Netns
	t.object = t.format.AppendDelta(t.object[:0], d)
	t.object = appendInstance(t.object, d.Key)
	var pair mptcp.Pair
	if d.Connection != nil {
		pair = d.Connection.Pair
	}
	return t.line(b, at, KindEvent, pair, t.object)
}

// Lost appends that lines are missing: their numbers are taken.
func (t *Teller) Lost(b []byte, at time.Time, lines uint64, where string) []byte {
	t.last += lines
	return t.line(b, at, KindLost, mptcp.Pair{}, Gap{lines, where}.Append(nil))
}

// Dropped appends that lines that this teller made, the last ones, were not kept.
func (t *Teller) Dropped(b []byte, at time.Time, lines uint64, where string) []byte {
	return t.line(b, at, KindLost, mptcp.Pair{}, Gap{lines, where}.Append(nil))
}

// Stop appends that the observer ended in order.
func (t *Teller) Stop(b []byte, at time.Time) []byte {
	return t.line(b, at, KindStop, mptcp.Pair{}, nil)
}

// busy reports whether the second has more lines than are written in full.
func (t *Teller) busy(at time.Time) bool {
	if second := at.Truncate(time.Second); !second.Equal(t.second) {
		t.second, t.written = second, 0
	}
	return t.config.Busy > 0 && t.written >= t.config.Busy
}

// usual reports whether a delta tells what becomes of connections that are well.
func usual(d *track.Delta) bool {
	switch d.Event.Type {
	case mptcp.EventCreated, mptcp.EventEstablished, mptcp.EventClosed, mptcp.EventSubflowEstablished:
		return d.Kind == track.KindEvent
	case mptcp.EventSubflowClosed:
		return d.Kind == track.KindEvent && d.Event.Error == 0
	}
	return d.Kind == track.KindSubflowPending
}
