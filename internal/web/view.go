package web

import (
	"cmp"
	"fmt"
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
// ask at about the same time. It never changes.
type view struct {
	state *track.State
	made  time.Time
	rows  []track.Tracked // by local address, remote address and token
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
	v := &view{state: state, made: time.Now(), rows: make([]track.Tracked, 0, state.Len())}
	for t := range state.All() {
		v.rows = append(v.rows, t)
	}
	slices.SortFunc(v.rows, func(a, b track.Tracked) int { return byAddress(&a.Connection, &b.Connection) })
	s.cached = v
	return v
}

func byAddress(a, b *mptcp.Connection) int {
	return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote), cmp.Compare(a.Token, b.Token), strings.Compare(a.Netns, b.Netns))
}

// matching returns the places in rows of those that the filter lets through.
func (v *view) matching(e *filter.Expr) []int32 {
	places := make([]int32, 0, len(v.rows))
	for i := range v.rows {
		if e == nil || e.Connection(&v.rows[i].Connection) {
			places = append(places, int32(i))
		}
	}
	return places
}

// order sorts places by a column; a minus in front of its name turns it around.
func (v *view) order(places []int32, column string) error {
	name, backwards := strings.CutPrefix(column, "-")
	var compare func(a, b *mptcp.Connection) int
	switch name {
	case "local":
		compare = byAddress
	case "remote":
		compare = func(a, b *mptcp.Connection) int { return a.Remote.Compare(b.Remote) }
	case "token":
		compare = func(a, b *mptcp.Connection) int { return cmp.Compare(a.Token, b.Token) }
	case "state":
		compare = func(a, b *mptcp.Connection) int { return cmp.Compare(a.State, b.State) }
	case "subflows":
		compare = func(a, b *mptcp.Connection) int { return cmp.Compare(len(a.Subflows), len(b.Subflows)) }
	case "bytes":
		compare = func(a, b *mptcp.Connection) int { return cmp.Compare(carried(a), carried(b)) }
	case "since":
		compare = func(a, b *mptcp.Connection) int { return a.Since.Compare(b.Since) }
	default:
		return fmt.Errorf("sort %q: want local, remote, token, state, subflows, bytes or since, with a minus for the other way around", column)
	}
	slices.SortStableFunc(places, func(x, y int32) int {
		c := compare(&v.rows[x].Connection, &v.rows[y].Connection)
		if backwards {
			return -c
		}
		return c
	})
	return nil
}

func carried(c *mptcp.Connection) (n uint64) {
	for i := range c.Subflows {
		n += c.Subflows[i].BytesSent + c.Subflows[i].BytesReceived
	}
	return n
}
