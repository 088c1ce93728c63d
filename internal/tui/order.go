package tui

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"
	"time"

	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// sorting is what the connections are ordered by.
type sorting uint8

const (
	byAddress sorting = iota
	byBytes
	bySubflows
	byRTT
	byAge
	sortings // how many there are
)

var sortingNames = [...]string{"address", "bytes", "subflows", "rtt", "age"}

// tuple names a flow by its two ends.
type tuple struct{ local, remote netip.AddrPort }

// item is a connection in the list.
type item struct {
	key   mptcp.Key
	flow  tuple
	value float64
	ended bool
	first int // row of its line; the lines of its subflows follow
	rows  int
}

// order is the list of connections, in the order in which they are shown.
type order struct {
	items []item
	rows  int // of all items
	at    time.Time
}

// manyItems is from how many connections on a list is put in order at most once a
// second.
const manyItems = 2000

// stale reports whether it is time to put the list in order again.
func (o *order) stale(now time.Time) bool {
	return len(o.items) < manyItems || now.Sub(o.at) >= time.Second
}

// listing is what a list shall hold.
type listing struct {
	expr    *filter.Expr
	by      sorting
	reverse bool
	folded  bool // connections without their subflows
	ended   bool // also those that are over
}

// list makes the order of the connections of a state.
func list(s *track.State, now time.Time, l *listing) order {
	o := order{at: now, items: make([]item, 0, s.Len())}
	for t := range s.All() {
		if l.expr.Connection(&t.Connection) {
			o.items = append(o.items, l.item(t.Key, &t.Connection))
		}
	}
	slices.SortFunc(o.items, l.compare)
	if l.ended {
		o.items = append(o.items, l.over(s)...)
	}
	for i := range o.items {
		o.items[i].first = o.rows
		o.rows += o.items[i].rows
	}
	return o
}

// over lists the connections that are over, the last one to end first.
func (l *listing) over(s *track.State) []item {
	var ended []item
	for e := range s.Ended() {
		if l.expr.Connection(&e.Connection) {
			i := l.item(e.Key, &e.Connection)
			i.ended, i.rows, i.value = true, 1, float64(e.At.UnixMicro())
			ended = append(ended, i)
		}
	}
	slices.SortFunc(ended, func(a, b item) int {
		return cmp.Or(
			cmp.Compare(b.value, a.value), cmp.Compare(a.key.Token, b.key.Token),
			cmp.Compare(a.key.Instance, b.key.Instance),
		)
	})
	return ended
}

func (l *listing) item(key mptcp.Key, c *mptcp.Connection) item {
	i := item{key: key, flow: tuple{c.Local, c.Remote}, rows: 1 + len(c.Subflows)}
	if l.folded {
		i.rows = 1
	}
	switch l.by {
	case byBytes:
		i.value = float64(c.BytesSent + c.BytesReceived)
	case bySubflows:
		i.value = float64(len(c.Subflows))
	case byRTT:
		for n := range c.Subflows {
			i.value = max(i.value, float64(c.Subflows[n].RTTMicros))
		}
	case byAge:
		i.value = float64(-c.Since.Unix())
	}
	return i
}

// compare orders by value, the greatest first, and then by address.
func (l *listing) compare(a, b item) int {
	n := cmp.Or(
		cmp.Compare(b.value, a.value), a.flow.local.Compare(b.flow.local), a.flow.remote.Compare(b.flow.remote),
		cmp.Compare(a.key.Netns, b.key.Netns), cmp.Compare(a.key.Token, b.key.Token),
	)
	if l.reverse {
		return -n
	}
	return n
}

// find returns the place of the connection, or -1.
func (o *order) find(key mptcp.Key) int {
	return slices.IndexFunc(o.items, func(i item) bool { return i.key == key })
}

// itemAt returns the place of the item that has the row.
func (o *order) itemAt(row int) int {
	return sort.Search(len(o.items), func(i int) bool { return o.items[i].first+o.items[i].rows > row })
}
