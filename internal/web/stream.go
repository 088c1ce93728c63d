package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mptcpctl/internal/filter"
)

const (
	streamBatch     = 512                   // deltas that are written at once
	streamPause     = 50 * time.Millisecond // how long deltas wait for others
	streamHeartbeat = 15 * time.Second
	streamDeadline  = 10 * time.Second // how long a client may not read
)

// streams counts the event streams, and keeps one client from taking all of them.
type streams struct {
	most, each int
	mu         sync.Mutex
	open       int
	by         map[netip.Addr]int
}

// enter reports whether the client may have another one; then leave follows.
func (s *streams) enter(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.most || s.by[client] >= s.each {
		return false
	}
	s.open++
	s.by[client]++
	return true
}

func (s *streams) leave(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.by[client]--; s.by[client] == 0 {
		delete(s.by, client)
	}
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// serveEvents streams the deltas as server-sent events, from the one on that the
// client names as the last that it has seen.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	expr, err := parseFilter(r)
	if err != nil {
		failFilter(w, err)
		return
	}
	after, replay, err := s.streamPlace(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	most, err := number(r, "most", 0, 1<<20)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	client := clientOf(r)
	if !s.streams.enter(client) {
		busy(w, "there are too many event streams")
		return
	}
	defer s.streams.leave(client)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if r.Method == http.MethodHead {
		return
	}
	s.doors.keep(r.Context())
	st := &stream{server: s, w: w, control: http.NewResponseController(w), expr: expr, after: after}
	st.ration = ration{most: int(most)}
	// The end of a stream is nobody's error: the client left, or did not read.
	if err := st.run(r, replay); err != nil {
		s.config.Log.Debug("event stream ended", "remote", r.RemoteAddr, "error", err)
	}
}

// streamPlace returns the number behind which the stream begins: that of the
// Last-Event-ID header or of the parameter after, else that of the newest delta.
func (s *Server) streamPlace(r *http.Request) (after uint64, replay bool, err error) {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("after")
	}
	switch id {
	case "":
		return s.journal.last(), false, nil
	case "0":
		return 0, true, nil
	}
	after, ok := s.journal.place(id)
	if !ok {
		return 0, false, errors.New(
			"the last event id is not valid: want the id of an event of this stream, or 0 for all events that are kept",
		)
	}
	return after, true, nil
}

// stream is one client that follows the journal.
type stream struct {
	server  *Server
	w       http.ResponseWriter
	control *http.ResponseController
	expr    *filter.Expr
	after   uint64
	entries []entry
	buffer  []byte
	ration  ration
}

// ration is how many events a client wants in a second, so that a page that shows them does
// not take more than a person can read. Those beyond are counted. 0: all.
type ration struct {
	most   int
	second time.Time // when the running second began
	sent   int       // in it
	left   int       // that were left out, and are not told of yet
}

// begin begins a new second where one is over, and returns how many events the client must be
// told of that were left out before.
func (r *ration) begin(now time.Time) (left int) {
	if r.most == 0 || now.Sub(r.second) < time.Second {
		return 0
	}
	left, *r = r.left, ration{most: r.most, second: now}
	return left
}

// over returns a channel that tells when the client can be told of events that were left out,
// nil where there are none.
func (r *ration) over(now time.Time) <-chan time.Time {
	if r.left == 0 {
		return nil
	}
	return time.After(r.second.Add(time.Second).Sub(now))
}

// take reports whether the client gets another event.
func (r *ration) take() bool {
	if r.most > 0 && r.sent >= r.most {
		r.left++
		return false
	}
	r.sent++
	return true
}

func (st *stream) run(r *http.Request, replay bool) error {
	// The deadlines of ordinary requests do not hold for a stream.
	if err := st.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	j := st.server.journal
	if replay && st.after == 0 {
		_, missed := j.since(0, nil)
		st.after = missed // all that is kept, without a gap to tell of
	}
	if last := j.last(); replay && st.ration.most > 0 && st.expr == nil {
		st.after = max(st.after, last-min(last, uint64(st.ration.most))) // the newest
	}
	st.buffer = fmt.Appendf(
		st.buffer, "retry: 1000\nevent: hello\ndata: {\"epoch\":%q,\"last\":\"%s-%d\"}\n\n", j.epoch, j.epoch,
		st.after,
	)
	if err := st.flush(); err != nil {
		return err
	}
	st.entries = make([]entry, 0, streamBatch)
	heartbeat := time.NewTicker(streamHeartbeat)
	defer heartbeat.Stop()
	for {
		changed := j.changed()
		full, err := st.forward()
		if err != nil {
			return err
		}
		if full {
			continue
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-st.server.stopped:
			return nil
		case <-heartbeat.C:
			if !st.server.guard.admits(r) {
				return nil // its session has ended, or the token changed
			}
			st.buffer = append(st.buffer, ": still here\n\n"...)
			err = st.flush()
		case <-changed:
			time.Sleep(streamPause)
		case <-st.ration.over(time.Now()):
		}
		if err != nil {
			return err
		}
	}
}

// forward writes what is new, and reports whether there may be more at once.
func (st *stream) forward() (full bool, err error) {
	j := st.server.journal
	entries, missed := j.since(st.after, st.entries[:0])
	st.after += missed
	if missed += uint64(st.ration.begin(time.Now())); missed > 0 {
		st.buffer = fmt.Appendf(
			st.buffer, "id: %s-%d\nevent: gap\ndata: {\"missed\":%d}\n\n", j.epoch, st.after, missed,
		)
	}
	for i := range entries {
		e := &entries[i]
		st.after = e.id
		if st.expr.Delta(&e.delta, e.delta.Connection) && st.ration.take() {
			st.buffer = fmt.Appendf(st.buffer, "id: %s-%d\ndata: ", j.epoch, e.id)
			st.buffer = append(st.buffer, e.json...)
			st.buffer = append(st.buffer, '\n', '\n')
		}
	}
	if len(st.buffer) == 0 {
		return len(entries) == cap(entries), nil
	}
	return len(entries) == cap(entries), st.flush()
}

// flush hands what has been gathered to the kernel. A client that does not read
// fills the socket's buffer, and the deadline ends it.
func (st *stream) flush() error {
	if err := st.control.SetWriteDeadline(time.Now().Add(streamDeadline)); err != nil {
		return err
	}
	_, err := st.w.Write(st.buffer)
	st.buffer = st.buffer[:0]
	return errors.Join(err, st.control.Flush())
}
