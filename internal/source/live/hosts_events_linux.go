package live

import (
	"context"
	"errors"
	"iter"
	"os"
	"strconv"
	"sync"
	"time"

	"mptcpctl/internal/pace"
	"mptcpctl/internal/poller"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// How often namespaces are looked for: a directory of names is cheap to look at, a
// walk over all processes is not.
const (
	rescanNames     = 100 * time.Millisecond
	rescanProcesses = 2 * time.Second
)

// Batches yields the events of all namespaces, each with the name of its own. Order
// holds within a namespace. A loss on the socket that many share has no name. While
// it is read, namespaces come and go: the events of a new one are heard from the
// moment it is found. When ctx is done it ends after the events that had come by then.
func (h *Hosts) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		if h.config.Events == nil {
			yield(nil, errors.New("events were not subscribed to"))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		r := &hostsReading{hosts: h, failed: make(chan error, 1), quit: make(chan struct{}), read: make(chan struct{})}
		if err := r.begin(ctx); err != nil {
			cancel()
			yield(nil, err)
			return
		}
		defer r.poller.Close()
		defer r.end() // who closes the sockets after this finds nobody at them
		defer close(r.quit)
		defer cancel()
		done := ctx.Done()
		for {
			select {
			case batch := <-h.feed:
				if !yield(batch, nil) {
					return
				}
			case err := <-r.failed:
				yield(nil, err)
				return
			case <-done:
				done = nil
				go r.finish()
			case <-r.read:
				return
			}
		}
	}
}

// underWay is how long events of a namespace that has gone may be on their way.
const underWay = 10 * time.Second

// hostsReading is one iteration of Batches.
type hostsReading struct {
	hosts  *Hosts
	poller *poller.Poller // waits for the members' own listeners
	tasks  sync.WaitGroup
	failed chan error
	quit   chan struct{} // closed when nobody takes batches any more
	read   chan struct{} // closed when all tasks have ended by themselves
}

// begin reads all namespaces, and looks for others.
func (r *hostsReading) begin(ctx context.Context) (err error) {
	h := r.hosts
	if r.poller, err = poller.New(); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follow = func(m *member) { r.readMember(ctx, m) }
	for _, m := range h.members {
		h.follow(m)
	}
	if h.main != nil {
		r.tasks.Go(func() { r.readMain(ctx) })
	}
	r.tasks.Go(func() { h.rescan(ctx) })
	return nil
}

// finish waits until all that had come is read.
func (r *hostsReading) finish() {
	r.end()
	close(r.read)
}

// end waits for the tasks, which their context or quit ends.
func (r *hostsReading) end() {
	r.hosts.unfollow()
	r.tasks.Wait()
}

// send hands a copy of the batch on, for another one is read into it meanwhile.
func (r *hostsReading) send(batch []mptcp.Event) bool {
	select {
	case r.hosts.feed <- append([]mptcp.Event(nil), batch...):
		return true
	case <-r.quit:
		return false
	}
}

// readMain reads the events of all numbered namespaces.
func (r *hostsReading) readMain(ctx context.Context) {
	var kept []mptcp.Event
	for batch, err := range toTheEnd(ctx, r.hosts.main) {
		if err != nil {
			r.failed <- err
			return
		}
		kept = r.hosts.attribute(kept[:0], batch)
		if len(kept) > 0 && !r.send(kept) {
			return
		}
	}
}

// readMember reads the events of a member that has a listener of its own. The
// caller holds the mutex of Hosts.
func (r *hostsReading) readMember(ctx context.Context, m *member) {
	if !m.direct || m.Listener() == nil {
		return
	}
	ctx, m.stop = context.WithCancel(pace.With(ctx, r.together(ctx)))
	read := make(chan struct{})
	m.read = read
	r.tasks.Go(func() {
		defer close(read)
		r.readOwn(m, m.Listener().Batches(ctx))
		r.readOwn(m, m.Listener().Queued())
	})
}

// together returns the pace of a member's own listener: all of them wait on one thread.
func (r *hostsReading) together(ctx context.Context) pace.Pace {
	asked := pace.Of(ctx)
	asked.Dedicated, asked.Poller = false, r.poller
	return asked
}

// readOwn hands on what a member's own listener gives, to its end.
func (r *hostsReading) readOwn(m *member, batches iter.Seq2[[]mptcp.Event, error]) {
	for batch, err := range batches {
		if err != nil {
			return // the namespace was left
		}
		for i := range batch {
			batch[i].Netns = m.netns
		}
		m.hear(batch)
		if !r.send(batch) {
			return
		}
	}
}

// unfollow ends what Batches began.
func (h *Hosts) unfollow() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follow = nil
}

// tapMain shows the recorder an event of the main socket, unless it comes by another.
func (h *Hosts) tapMain(t time.Time, nsid int32, msg []byte) {
	name := ""
	if nsid != pathmanager.OwnNamespace {
		name = h.nameOfNumber(nsid)
	}
	h.mu.Lock()
	m := h.origin(name)
	h.mu.Unlock()
	switch {
	case m == nil: // it may not be entered
		h.config.recorder.tapEvent(name, t, msg)
	case !m.direct:
		m.dump.tapEvent(t, nsid, msg)
	}
}

// attribute keeps the events of the main socket that come by no other, and gives
// those of the caller's namespace its name.
func (h *Hosts) attribute(kept, batch []mptcp.Event) []mptcp.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range batch {
		e := batch[i]
		if e.Type != mptcp.EventLost {
			if m := h.origin(e.Netns); m != nil {
				if m.direct {
					continue
				}
				e.Netns = m.netns
				m.hear(batch[i : i+1])
			}
		}
		kept = append(kept, e)
	}
	return kept
}

// origin returns the member whose events have that name on the main socket. The
// caller holds mu.
func (h *Hosts) origin(name string) *member {
	for _, m := range h.members {
		if name == "" && m.current || name != "" && m.netns == name {
			return m
		}
	}
	return nil
}

// nameOfNumber returns the name of the namespace with the number. One that is not
// known yet, or has gone, is looked for at once.
func (h *Hosts) nameOfNumber(nsid int32) string {
	n, known := h.numbered(nsid)
	if known {
		return n.name
	}
	began := time.Now()
	if err := h.scan(context.Background()); err != nil {
		h.warn("scan", err)
	}
	if n, known = h.numbered(nsid); known {
		return n.name
	}
	if n.name == "" || !n.left.IsZero() && time.Since(n.left) > underWay {
		n.left = time.Time{}
		n.name = "nsid " + strconv.Itoa(int(nsid)) // one that may not be entered
	}
	// It costs no more than a twentieth of the time to look again and again.
	n.until = time.Now().Add(max(rescanNames, 20*time.Since(began)))
	h.mu.Lock()
	h.numbers[nsid] = n
	h.mu.Unlock()
	return n.name
}

// numbered returns what is known of the number, and whether that is good: somebody
// holds it, or nobody was found who does just now.
func (h *Hosts) numbered(nsid int32) (n number, good bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n = h.numbers[nsid]
	return n, n.held || time.Now().Before(n.until)
}

// rescan looks for namespaces while events are read.
func (h *Hosts) rescan(ctx context.Context) {
	names := ""
	ticker := time.NewTicker(rescanNames)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		h.mu.Lock()
		due := time.Since(h.scanned) >= rescanProcesses
		h.mu.Unlock()
		if now := h.directory(); due || now != names {
			names = now
			if err := h.scan(ctx); err != nil && ctx.Err() == nil {
				h.warn("scan", err)
			}
		}
	}
}

// directory returns what the directories of names hold. A name is made before its
// namespace is mounted there: the device tells the two apart.
func (h *Hosts) directory() string {
	dirs := h.config.Search.Named
	if dirs == nil {
		dirs = []string{"/run/netns"}
	}
	var text []byte
	for _, dir := range dirs {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			text = append(append(text, e.Name()...), 0)
			if info, err := os.Stat(dir + "/" + e.Name()); err == nil {
				text = strconv.AppendInt(text, info.ModTime().UnixNano(), 10)
			}
		}
	}
	return string(text)
}
