package web

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// doors limits the open connections of a server. When a new one is too many, the
// oldest of those that wait, without a request that is being answered, is closed
// in its favour: clients that open connections and say nothing push out each
// other, and nobody else.
type doors struct {
	max     int
	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: being answered
	waiting *list.List                 // of net.Conn, oldest first
}

func newDoors(most int) *doors {
	return &doors{max: most, open: make(map[net.Conn]*list.Element), waiting: list.New()}
}

// moved is told of each change of a connection's state. A connection that never
// sent a byte is told as new until it is closed.
func (d *doors) moved(c net.Conn, state http.ConnState) {
	if surplus := d.note(c, state); surplus != nil {
		if t, ok := surplus.(*tls.Conn); ok {
			surplus = t.NetConn() // without a farewell, which might block
		}
		surplus.Close() // nothing was written to it that could be lost
	}
}

// note keeps the books and returns the connection that is too many.
func (d *doors) note(c net.Conn, state http.ConnState) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.open[c]; e != nil {
		d.waiting.Remove(e)
	}
	switch state {
	case http.StateNew, http.StateIdle:
		d.open[c] = d.waiting.PushBack(c)
	case http.StateActive:
		d.open[c] = nil
	default:
		delete(d.open, c)
	}
	if len(d.open) <= d.max || d.waiting.Len() == 0 {
		return nil
	}
	oldest := d.waiting.Remove(d.waiting.Front()).(net.Conn)
	delete(d.open, oldest)
	return oldest
}

// count returns how many connections are open.
func (d *doors) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}
