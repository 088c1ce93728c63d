package track

import (
	"iter"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// Since returns the live connections, each beside what it was in an earlier state of
// the same tracker: nil where before does not have it, or is nil itself. The order is
// that of [State.Connections], subflows are in no order, and shares and processes are
// left out.
//
// Both connections and their subflows are overwritten in the next step: nothing is
// allocated for each, so that sixty thousand of them take milliseconds.
func (s *State) Since(before *State) iter.Seq2[*Tracked, *Tracked] {
	return func(yield func(now, then *Tracked) bool) {
		w := walk{state: s, before: before}
		for i := range s.plain {
			if !yield(&s.plain[i], before.plainly(s.plain[i].Key, i)) {
				return
			}
		}
		for slot := range s.view.all() {
			if !yield(w.load(slot), w.loadBefore(slot)) {
				return
			}
		}
	}
}

// walk holds the memory that Since uses again and again.
type walk struct {
	state, before *State
	netns         string      // of the namespace that was looked up last
	facts         *dump.Facts // nil: nothing is known of it
	looked        bool
	record        record
	then          record
	pair          [2]Tracked
}

// load reads the connection in the slot, with the devices of its subflows.
func (w *walk) load(slot uint32) *Tracked {
	w.state.view.load(slot, &w.record)
	if netns := w.record.Netns; !w.looked || netns != w.netns {
		w.netns, w.facts, w.looked = netns, nil, true
		if n := findNamespace(w.state.namespaces, netns); n != nil {
			w.facts = n.facts
		}
	}
	for i := range w.record.Subflows {
		if w.facts != nil {
			w.facts.Device(&w.record.Subflows[i])
		}
	}
	w.pair[0] = Tracked{w.record.key(), w.record.Connection}
	return &w.pair[0]
}

// loadBefore reads from the earlier state the connection that load has just read. A
// connection that goes on stays in its slot.
func (w *walk) loadBefore(slot uint32) *Tracked {
	if w.before == nil {
		return nil
	}
	v := &w.before.view
	if !v.core.Has(slot) || v.core.At(slot).flags&coreHere == 0 {
		return nil
	}
	c := v.core.At(slot)
	key := w.pair[0].Key
	if c.token != uint32(key.Token) || uint32(c.instance) != key.Instance || v.locals.At(c.local).netns != key.Netns {
		return nil
	}
	v.load(slot, &w.then)
	w.pair[1] = Tracked{key, w.then.Connection}
	return &w.pair[1]
}

// plainly returns the connection from a state that no tracker made, which has it at
// the index as a rule.
func (s *State) plainly(k mptcp.Key, index int) *Tracked {
	if s == nil {
		return nil
	}
	if index < len(s.plain) && s.plain[index].Key == k {
		return &s.plain[index]
	}
	for i := range s.plain {
		if s.plain[i].Key == k {
			return &s.plain[i]
		}
	}
	return nil
}

// A Place is where a state has a connection. It holds for that state alone.
type Place uint32

// Places returns the places of the live connections, in the order of [State.All].
func (s *State) Places() []Place {
	places := make([]Place, 0, s.Len())
	for i := range s.plain {
		places = append(places, Place(i))
	}
	for slot := range s.view.all() {
		places = append(places, Place(slot))
	}
	return places
}

// Reader reads connections of a state by their places, each into the same memory: a list
// of places is all that a list of very many connections has to hold.
type Reader struct {
	state  *State
	record record
	last   Tracked
}

// Reader makes a reader.
func (s *State) Reader() *Reader { return &Reader{state: s} }

// At returns the connection at the place. It is overwritten by the next call.
func (r *Reader) At(p Place) *Tracked {
	if r.state.plain != nil {
		return &r.state.plain[p]
	}
	r.state.view.load(uint32(p), &r.record)
	r.state.finish(&r.record.Connection)
	r.last = Tracked{r.record.key(), r.record.Connection}
	return &r.last
}
