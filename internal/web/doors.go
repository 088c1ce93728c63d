package web

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	doorsPatience = 2 * time.Second // how long a request may hold a connection that others want
	sendBuffer    = 64 << 10        // that the kernel holds for a client that does not read
)

// doors limits the open connections of a server. When a new one is too many, the
// oldest of those that wait, without a request that is being answered, is closed
// in its favour: clients that open connections and say nothing push out each
// other, and nobody else. Where all are being answered, the one is closed of which the
// request has been under way for longest, unless that is an event stream: a client that
// neither reads its answer nor ends its request keeps nobody out.
type doors struct {
	max     int
	mu      sync.Mutex
	open    map[net.Conn]*list.Element // nil: an event stream
	waiting *list.List                 // of net.Conn, oldest first
	active  *list.List                 // of underWay, oldest first
}

// underWay is a connection whose request is being read or answered.
type underWay struct {
	conn  net.Conn
	since time.Time
}

func newDoors(most int) *doors {
	return &doors{max: most, open: make(map[net.Conn]*list.Element), waiting: list.New(), active: list.New()}
}

// connKey is what a request's context keeps its connection under.
type connKey struct{}

// welcome bounds what the kernel holds for the connection, and returns its context.
func (d *doors) welcome(ctx context.Context, c net.Conn) context.Context {
	if t, ok := bare(c).(*net.TCPConn); ok {
		_ = t.SetWriteBuffer(sendBuffer) // without it the kernel's own bound holds
	}
	return context.WithValue(ctx, connKey{}, c)
}

// bare returns the connection below TLS.
func bare(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// moved is told of each change of a connection's state. A connection that never
// sent a byte is told as new until it is closed.
func (d *doors) moved(c net.Conn, state http.ConnState) {
	if surplus := d.note(c, state); surplus != nil {
		bare(surplus).Close() // without TLS's farewell, which might block
	}
}

// keep says that the request is an event stream, which goes on for long.
func (d *doors) keep(ctx context.Context) {
	c, ok := ctx.Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, open := d.open[c]; open {
		d.strike(c)
		d.open[c] = nil
	}
}

// note keeps the books and returns the connection that is too many.
func (d *doors) note(c net.Conn, state http.ConnState) net.Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strike(c)
	switch state {
	case http.StateNew, http.StateIdle:
		d.open[c] = d.waiting.PushBack(c)
	case http.StateActive:
		d.open[c] = d.active.PushBack(underWay{c, time.Now()})
	default:
		delete(d.open, c)
	}
	if len(d.open) <= d.max {
		return nil
	}
	surplus := d.surplus(c)
	if surplus != nil {
		d.strike(surplus)
		delete(d.open, surplus)
	}
	return surplus
}

// strike takes the connection out of the list in which it stands. The caller holds mu.
func (d *doors) strike(c net.Conn) {
	if e := d.open[c]; e != nil {
		if _, ok := e.Value.(underWay); ok {
			d.active.Remove(e)
		} else {
			d.waiting.Remove(e)
		}
	}
}

// surplus chooses the connection that is closed in favour of the newest. The caller
// holds mu.
func (d *doors) surplus(newest net.Conn) net.Conn {
	var oldest net.Conn
	if e := d.waiting.Front(); e != nil {
		oldest = e.Value.(net.Conn)
	}
	if oldest != nil && oldest != newest {
		return oldest
	}
	if e := d.active.Front(); e != nil {
		if r := e.Value.(underWay); time.Since(r.since) > doorsPatience {
			return r.conn
		}
	}
	return oldest
}

// count returns how many connections are open.
func (d *doors) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.open)
}
