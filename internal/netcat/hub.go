package netcat

import (
	"context"
	"io"
	"sync"
	"time"
)

// hub hands the input to the connections. The slowest of them sets the pace.
type hub struct {
	shutdown bool // -N

	mu      sync.Mutex
	conns   map[*connection]bool
	changed chan struct{} // closed and replaced when a connection comes
	ended   bool          // the input has ended
	closed  bool
	busy    bool      // input is being handed over
	last    time.Time // when the input was last heard of
}

func newHub(shutdown bool) *hub {
	return &hub{shutdown: shutdown, conns: map[*connection]bool{}, changed: make(chan struct{}), last: time.Now()}
}

// add gives a connection its share of the input.
func (h *hub) add(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		c.endSending(h.shutdown)
		return
	}
	h.conns[c] = true
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) remove(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.conns, c)
}

// close lets the pump end.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	close(h.changed)
	h.changed = make(chan struct{})
}

// quietFor reports whether the input has brought nothing for that long.
func (h *hub) quietFor(d time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.busy && time.Since(h.last) >= d
}

// pump reads the input to its end, while there is somebody to have it.
func (h *hub) pump(ctx context.Context, in io.Reader) {
	buffer := make([]byte, chunk)
	for {
		if _, ok := h.await(ctx); !ok {
			return
		}
		n, err := in.Read(buffer)
		if n > 0 && !h.hand(ctx, buffer[:n]) {
			return
		}
		if err != nil {
			h.end()
			return
		}
	}
}

// await returns the connections, as soon as there is one.
func (h *hub) await(ctx context.Context) ([]*connection, bool) {
	for {
		h.mu.Lock()
		if h.closed {
			h.mu.Unlock()
			return nil, false
		}
		conns := make([]*connection, 0, len(h.conns))
		for c := range h.conns {
			conns = append(conns, c)
		}
		changed := h.changed
		h.mu.Unlock()
		if len(conns) > 0 {
			return conns, true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// hand writes a chunk to all connections.
func (h *hub) hand(ctx context.Context, b []byte) bool {
	h.setBusy(true)
	defer h.setBusy(false)
	conns, ok := h.await(ctx)
	for _, c := range conns {
		c.any = true
		if _, err := c.tcp.Write(b); err != nil {
			h.remove(c)
			c.endSending(false)
			continue
		}
		c.touch()
	}
	return ok
}

func (h *hub) setBusy(busy bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy, h.last = busy, time.Now()
}

// end tells the connections that the input has ended.
func (h *hub) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
	for c := range h.conns {
		c.endSending(h.shutdown || c.any)
	}
}
