package chronicle

import (
	"hash/maphash"
	"maps"
	"math"
	"net/netip"
	"strconv"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Change tells what a line of the kind connection is about.
type Change string

// The changes of connections. A line of the kind state has none.
const (
	Seen    Change = "seen"    // the first look at a connection that goes on
	Changed Change = "changed" // its state, its path or its subflows changed
	Ended   Change = "ended"   // with its last figures
)

// settleTime is how long after its end a connection's last figures may come.
const settleTime = 2 * time.Second

// mostHeld is of how many connections that have ended the processes are kept.
const mostHeld = 16384

// short is how long a connection lives that is of no interest where there are very many.
const short = 10 * time.Second

// printSeed makes fingerprints. They are compared within one process.
type printSeed = maphash.Seed

// shape is what of a subflow makes a line when it changes.
type shape struct {
	local, remote netip.AddrPort
	state         mptcp.SubflowState
	backup        [2]bool
	device        string
}

// fingerprint is the same as long as the connection has the same subflows in the same states.
func fingerprint(seed printSeed, c *mptcp.Connection) uint64 {
	print := maphash.Comparable(seed, [2]string{c.State.String(), strconv.FormatBool(c.Fallback)})
	for i := range c.Subflows {
		s := &c.Subflows[i]
		print += maphash.Comparable(
			seed, shape{s.Local, s.Remote, s.State, [2]bool{s.BackupLocal, s.BackupRemote}, s.Device},
		)
	}
	return print
}

// For how many looks a connection that goes on is not told of, because something is not known
// yet: its details come with the tracker's next dump, its processes with a walk over /proc.
const (
	forDetails   = 10
	forProcesses = 7
)

// early reports whether it is too early to tell of a connection: what is not known yet may
// be known soon.
func (t *Teller) early(c *mptcp.Connection, looks uint32) bool {
	if c.Pair.IsZero() && looks < forDetails {
		return true
	}
	return len(c.Processes) == 0 && c.Inode != 0 && looks < forProcesses
}

// Look appends what became of the connections since the last look: first seen, changed,
// ended; and what was set anew. It is for every second.
func (t *Teller) Look(b []byte, s *track.State, now time.Time) []byte {
	t.round++
	at := s.Time()
	b = t.settings(b, s)
	for c := range s.Since(nil) {
		print := fingerprint(t.seed, &c.Connection)
		before, ok := t.live[c.Key]
		switch {
		case !ok:
			t.live[c.Key] = &known{print: print, first: t.round, round: t.round}
		case !before.told:
			b = t.see(b, s, c.Key, before, print)
		case before.print != print:
			before.print = print
			b = t.connection(b, at, Changed, s, c.Key)
		}
		t.live[c.Key].round = t.round
	}
	for key, k := range t.live {
		if k.round != t.round {
			delete(t.live, key)
		}
	}
	if len(t.held) > 2*len(t.live)+mostHeld { // there are ends that the tracker did not keep
		maps.DeleteFunc(t.held, func(key mptcp.Key, _ []mptcp.Process) bool { return t.live[key] == nil })
	}
	return t.ends(b, s, now.Add(-settleTime))
}

// see appends the first line about a live connection, once all is known that can be.
func (t *Teller) see(b []byte, s *track.State, key mptcp.Key, k *known, print uint64) []byte {
	c, ok := s.Lookup(key)
	if !ok || t.early(&c, t.round-k.first) {
		return b
	}
	k.print, k.told = print, true
	if len(c.Processes) > 0 {
		t.held[key] = c.Processes
	}
	if t.busy(s.Time()) {
		t.passed.event(string(Seen))
		return b
	}
	return t.connection(b, s.Time(), Seen, s, key)
}

// connection appends a line about a live connection.
func (t *Teller) connection(b []byte, at time.Time, change Change, s *track.State, key mptcp.Key) []byte {
	c, ok := s.Lookup(key)
	if !ok {
		return b // not in this state: it cannot happen
	}
	t.object = appendConnection(t.object[:0], change, "", key, &c, nil, nil)
	return t.line(b, at, KindConnection, c.Pair, t.object)
}

// ends appends a line for each connection that ended before the time, in the order in which
// that was found.
func (t *Teller) ends(b []byte, s *track.State, before time.Time) []byte {
	fresh := true
	for e := range s.Ended() {
		if t.anyEnded && e.Key == t.ended {
			fresh = false
		}
	}
	for e := range s.Ended() {
		switch {
		case !fresh && e.Key == t.ended:
			fresh = true
			continue
		case !fresh:
			continue
		case e.At.After(before):
			return b
		}
		t.ended, t.anyEnded = e.Key, true
		b = t.end(b, s, e)
	}
	return b
}

// end appends the line of a connection that ended.
func (t *Teller) end(b []byte, s *track.State, e *track.Ended) []byte {
	c := &e.Connection
	if len(c.Processes) == 0 && len(t.held[e.Key]) > 0 {
		with := *c // it is shared
		c, with.Processes = &with, t.held[e.Key]
	}
	delete(t.held, e.Key)
	trouble := troubles(e, s.History(e.Key))
	if t.busy(e.At) && len(trouble) == 0 && !c.Since.IsZero() && e.At.Sub(c.Since) < short {
		t.passed.connection(c)
		return b
	}
	t.object = appendConnection(t.object[:0], Ended, e.How.String(), e.Key, c, s.ClosedSubflows(e.Key), trouble)
	return t.line(b, e.At, KindConnection, c.Pair, t.object)
}

// troubles returns what went wrong with a connection, each once, in its order.
func troubles(e *track.Ended, history []track.Delta) (list []string) {
	add := func(text string) {
		for _, known := range list {
			if known == text {
				return
			}
		}
		list = append(list, text)
	}
	for i := range history {
		d := &history[i]
		switch {
		case d.Kind == track.KindFallback && d.Cause != "":
			add(d.Name + " " + d.Cause)
		case d.Kind == track.KindSubflowPending, d.Kind == track.KindResync, d.Kind == track.KindOverflow:
		case d.Derived():
			add(d.Name)
		case d.Event.Type == mptcp.EventSubflowClosed && d.Event.Error != 0:
			add(d.Name + " " + d.Event.Error.Name())
		}
	}
	if e.Connection.Fallback && len(list) == 0 {
		add("FALLBACK")
	}
	return list
}

// appendConnection appends the object of a line about a connection. The pair stands in the
// line, and not once more in the object.
func appendConnection(
	b []byte, change Change, how string, key mptcp.Key, c *mptcp.Connection,
	closed []track.ClosedSubflow, trouble []string,
) []byte {
	b = append(b, '{')
	if key.Instance != 0 {
		b = append(strconv.AppendUint(append(b, `"instance":`...), uint64(key.Instance), 10), ',')
	}
	if change != "" {
		b = append(append(append(b, `"change":"`...), change...), `",`...)
	}
	if how != "" {
		b = append(append(append(b, `"how":"`...), how...), `",`...)
	}
	if len(trouble) > 0 {
		b = append(b, `"trouble":[`...)
		for i, text := range trouble {
			if i > 0 {
				b = append(b, ',')
			}
			b = present.AppendString(b, text)
		}
		b = append(b, `],`...)
	}
	if len(closed) > 0 {
		b = append(b, `"closed_subflows":[`...)
		for i := range closed {
			if i > 0 {
				b = append(b, ',')
			}
			s := lean(closed[i].Subflow, Ended)
			b = present.AppendSubflow(b, &s)
		}
		b = append(b, `],`...)
	}
	told := *c // it is shared
	told.Pair = mptcp.Pair{}
	if change == Ended {
		told.LastDataSentMS, told.LastDataRecvMS, told.LastAckRecvMS = 0, 0, 0
	}
	told.Subflows = make([]mptcp.Subflow, len(c.Subflows))
	for i := range c.Subflows {
		told.Subflows[i] = lean(c.Subflows[i], change)
	}
	b = append(b, `"connection":`...)
	return append(present.AppendConnection(b, &told), '}')
}

// lean returns the subflow without figures that cost more than they say: a share has four
// digits, and of one that ended nobody asks how long ago something came.
func lean(s mptcp.Subflow, change Change) mptcp.Subflow {
	s.Share = math.Round(s.Share*1e4) / 1e4
	if change == Ended {
		s.LastAckMS, s.LastDataSentMS = 0, 0
	}
	return s
}

// appendInstance puts the instance of a connection whose token was used before into the
// object at the end of b.
func appendInstance(b []byte, k mptcp.Key) []byte {
	if k.Instance == 0 {
		return b
	}
	b = append(b[:len(b)-1], `,"instance":`...)
	b = strconv.AppendUint(b, uint64(k.Instance), 10)
	return append(b, '}')
}
