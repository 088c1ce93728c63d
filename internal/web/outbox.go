package web

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// Bounds of what answers hold while they are sent.
const (
	outboxBytes = 16 << 20 // of all answers together
	outboxSmall = 4 << 10  // an answer up to that size is handed over at once
	outboxRows  = 48 << 10 // what a list holds that is sent row by row
	outboxViews = 3        // older views that lists are still sent of
)

// outbox bounds the memory of answers that are being sent. When there is too much of it,
// the answer that has been under way for longest is cut off: a client that reads has its
// answer within milliseconds, one that does not read is the oldest before long.
type outbox struct {
	most    int64
	mu      sync.Mutex
	held    int64
	sending *list.List // of *letter, oldest first
	cut     uint64     // answers that were cut off
}

// letter is an answer under way.
type letter struct {
	size    int64
	view    uint64 // number of the view that it is read from, 0 for none
	control *http.ResponseController
}

func newOutbox() *outbox { return &outbox{most: outboxBytes, sending: list.New()} }

// enter takes up an answer of that size, which is sent until leave is called.
func (o *outbox) enter(w http.ResponseWriter, size int64, view uint64) (leave func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.sending.PushBack(&letter{size, view, http.NewResponseController(w)})
	o.held += size
	for o.held > o.most && o.sending.Front() != e {
		o.cutOff(o.sending.Front())
	}
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.remove(e)
	}
}

// forget cuts off the lists that are sent of a view much older than the newest one: they
// would keep the state of that time in memory.
func (o *outbox) forget(newest uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for e := o.sending.Front(); e != nil; {
		next := e.Next()
		if v := e.Value.(*letter).view; v > 0 && v+outboxViews < newest {
			o.cutOff(e)
		}
		e = next
	}
}

// cutOff ends the sending of an answer: what waits in a write comes back. The caller
// holds mu.
func (o *outbox) cutOff(e *list.Element) {
	_ = e.Value.(*letter).control.SetWriteDeadline(time.Now()) // where it fails the client has gone
	o.remove(e)
	o.cut++
}

// remove strikes an answer off, once. The caller holds mu.
func (o *outbox) remove(e *list.Element) {
	if l, ok := e.Value.(*letter); ok && l != nil {
		o.held -= l.size
		o.sending.Remove(e)
		e.Value = (*letter)(nil)
	}
}
