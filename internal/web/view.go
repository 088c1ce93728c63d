package web

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// viewAge is how old the list may be that clients share: many open pages make it
// no more often than one.
const viewAge = 500 * time.Millisecond

// view is the list of all connections of one state, made once for all clients that
// ask at about the same time. It never changes, and holds places instead of rows: rows
// are read from the state one by one when they are written.
type view struct {
	number uint64 // of the views, from 1
	state  *track.State
	made   time.Time
	places []track.Place // by local address, remote address and token
}

// view returns a list that is hardly older than the state.
func (s *Server) view() *view {
	s.viewLock.Lock()
	defer s.viewLock.Unlock()
	if s.cached != nil && time.Since(s.cached.made) < viewAge {
		return s.cached
	}
	state := s.config.Tracker.State()
	if s.cached != nil && s.cached.state == state {
		s.cached.made = time.Now()
		return s.cached
	}
	v := &view{number: 1, state: state, made: time.Now()}
	if s.cached != nil {
		v.number = s.cached.number + 1
	}
	v.places = v.ordered(state.Places(), "local", false)
	s.cached = v
	s.outbox.forget(v.number)
	return v
}

// matching returns the places of the connections that the filter lets through. They
// may be the view's own.
func (v *view) matching(e *filter.Expr) []track.Place {
	if e == nil {
		return v.places
	}
	places := make([]track.Place, 0, len(v.places))
	r := v.state.Reader()
	for _, p := range v.places {
		if e.Connection(&r.At(p).Connection) {
			places = append(places, p)
		}
	}
	return places
}

// sortKey is what a connection is sorted by, beside its place: rows are read once, and
// not for each comparison.
type sortKey struct {
	place         track.Place
	number        uint64
	local, remote netip.AddrPort
	token         mptcp.Token
	netns         string
}

// sortColumns are the columns that lists can be sorted by, with what is compared first.
var sortColumns = map[string]func(*sortKey, *mptcp.Connection){
	"local": func(k *sortKey, c *mptcp.Connection) {
		k.local, k.remote, k.token, k.netns = c.Local, c.Remote, c.Token, c.Netns
	},
	"remote":   func(k *sortKey, c *mptcp.Connection) { k.remote = c.Remote },
	"token":    func(k *sortKey, c *mptcp.Connection) { k.token = c.Token },
	"state":    func(k *sortKey, c *mptcp.Connection) { k.number = uint64(c.State) },
	"subflows": func(k *sortKey, c *mptcp.Connection) { k.number = uint64(len(c.Subflows)) },
	"bytes":    func(k *sortKey, c *mptcp.Connection) { k.number = carried(c) },
	"since":    func(k *sortKey, c *mptcp.Connection) { k.number = sinceEpoch(c.Since) },
}

// sinceEpoch makes times comparable as numbers; one that is not known comes first.
func sinceEpoch(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixNano(), 1))
}

func (k *sortKey) compare(o *sortKey) int {
	return cmp.Or(cmp.Compare(k.number, o.number), k.local.Compare(o.local), k.remote.Compare(o.remote),
		cmp.Compare(k.token, o.token), strings.Compare(k.netns, o.netns))
}

// order returns the places sorted by a column; a minus in front of its name turns it
// around. Those that are equal stay in their order.
func (v *view) order(places []track.Place, column string) ([]track.Place, error) {
	name, backwards := strings.CutPrefix(column, "-")
	if sortColumns[name] == nil {
		return nil, fmt.Errorf("sort %q: want local, remote, token, state, subflows, bytes or since, "+
			"with a minus for the other way around", column)
	}
	return v.ordered(places, name, backwards), nil
}

func (v *view) ordered(places []track.Place, column string, backwards bool) []track.Place {
	fill := sortColumns[column]
	keys := make([]sortKey, len(places))
	r := v.state.Reader()
	for i, p := range places {
		keys[i].place = p
		fill(&keys[i], &r.At(p).Connection)
	}
	// Numbers of keys are sorted, and not the keys, which are large to move. The numbers keep
	// equal ones in their order: a stable sort takes more than twice as long.
	order := make([]int32, len(keys))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		k, o := &keys[a], &keys[b]
		if backwards {
			k, o = o, k
		}
		return cmp.Or(k.compare(o), cmp.Compare(a, b))
	})
	sorted := make([]track.Place, len(keys))
	for i, number := range order {
		sorted[i] = keys[number].place
	}
	return sorted
}

func carried(c *mptcp.Connection) (n uint64) {
	for i := range c.Subflows {
		n += c.Subflows[i].BytesSent + c.Subflows[i].BytesReceived
	}
	return n
}
