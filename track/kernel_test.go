package track

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"mptcpctl/mptcp"
)

// fakeKernel is a Source that tests play on: tables to dump and look up in, and a
// socket of bounded size in which events wait.
type fakeKernel struct {
	mu         sync.Mutex
	namespaces map[string]*fakeNamespace
	socket     []mptcp.Event
	room       int // events that the socket holds; 0: any number
	lost       uint64
	ready      chan struct{}
	ended      chan EndedSubflow
	closed     bool
	err        error

	lookups, dumps, samples int
	duringDump              func() // runs after the tables were read, before the reader has them
	dumpTime                time.Duration
	fail                    error            // of Snapshots, Lookup and Sample
	unread                  map[string]error // of single namespaces
}

type fakeNamespace struct {
	facts       Snapshot
	connections map[mptcp.Token]*mptcp.Connection
	subflows    []SubflowRow
	hidden      map[mptcp.Token]bool // passed over by dumps
	counters    Counters
}

func newFakeKernel() *fakeKernel {
	k := &fakeKernel{
		namespaces: make(map[string]*fakeNamespace),
		ready:      make(chan struct{}, 1),
		ended:      make(chan EndedSubflow, 16),
	}
	k.namespace("")
	return k
}

func (k *fakeKernel) namespace(name string) *fakeNamespace {
	n, ok := k.namespaces[name]
	if !ok {
		n = &fakeNamespace{connections: make(map[mptcp.Token]*mptcp.Connection), hidden: make(map[mptcp.Token]bool)}
		n.facts.Netns = name
		k.namespaces[name] = n
	}
	return n
}

// emit puts events into the socket, stamped when they are read.
func (k *fakeKernel) emit(events ...mptcp.Event) {
	for _, e := range events {
		if k.room > 0 && len(k.socket) >= k.room {
			k.lost++
			continue
		}
		k.socket = append(k.socket, e)
	}
	select {
	case k.ready <- struct{}{}:
	default:
	}
}

func (k *fakeKernel) take() (batch []mptcp.Event, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	batch, k.socket = k.socket, nil
	if k.lost > 0 {
		batch = append(batch, mptcp.Event{Type: mptcp.EventLost, Lost: k.lost})
		k.lost = 0
	}
	for i := range batch {
		batch[i].Time = time.Now()
	}
	return batch, k.closed
}

func (k *fakeKernel) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for {
			batch, closed := k.take()
			if len(batch) > 0 {
				if !yield(batch, nil) {
					return
				}
				continue
			}
			if closed {
				if k.err != nil {
					yield(nil, k.err)
				}
				return
			}
			select {
			case <-k.ready:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (k *fakeKernel) Ended(ctx context.Context) iter.Seq2[EndedSubflow, error] {
	return func(yield func(EndedSubflow, error) bool) {
		for {
			select {
			case e := <-k.ended:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (k *fakeKernel) Snapshots(context.Context) ([]Snapshot, error) {
	k.mu.Lock()
	took := k.dumpTime
	k.mu.Unlock()
	time.Sleep(took)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dumps++
	if k.fail != nil {
		return nil, k.fail
	}
	out := slices.DeleteFunc(k.dump(), func(s Snapshot) bool { return k.unread[s.Netns] != nil })
	if k.duringDump != nil {
		f := k.duringDump
		k.duringDump = nil
		f()
	}
	for _, netns := range slices.Sorted(maps.Keys(k.unread)) {
		return out, &Unread{Netns: []string{netns}, Err: k.unread[netns]}
	}
	return out, nil
}

func (k *fakeKernel) dump() []Snapshot {
	var out []Snapshot
	for _, name := range slices.Sorted(maps.Keys(k.namespaces)) {
		n := k.namespaces[name]
		s := n.facts
		s.Time = time.Now()
		for _, token := range slices.Sorted(maps.Keys(n.connections)) {
			if !n.hidden[token] {
				s.Connections = append(s.Connections, *n.connections[token])
			}
		}
		for _, r := range n.subflows {
			if !n.hidden[r.Token] {
				s.Subflows = append(s.Subflows, r)
			}
		}
		out = append(out, s)
	}
	return out
}

func (k *fakeKernel) Lookup(_ context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lookups++
	var out []mptcp.Connection
	if n, ok := k.namespaces[netns]; ok {
		for _, token := range tokens {
			if c, ok := n.connections[token]; ok {
				out = append(out, *c)
			}
		}
	}
	return out, k.fail
}

func (k *fakeKernel) Sample(_ context.Context, netns string, tokens []mptcp.Token) ([]SubflowRow, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.samples++
	var out []SubflowRow
	if n, ok := k.namespaces[netns]; ok {
		for _, r := range n.subflows {
			if slices.Contains(tokens, r.Token) {
				out = append(out, r)
			}
		}
	}
	return out, k.fail
}

func (k *fakeKernel) Namespace(_ context.Context, netns string) (*Snapshot, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, ok := k.namespaces[netns]
	if !ok {
		return nil, k.fail
	}
	s := n.facts
	return &s, k.fail
}

func (k *fakeKernel) Counters(_ context.Context, netns string) (Counters, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if n, ok := k.namespaces[netns]; ok {
		return maps.Clone(n.counters), nil
	}
	return nil, nil
}
