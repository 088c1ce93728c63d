package source

import (
	"context"
	"errors"
	"iter"
	"os"
	"strconv"
	"sync"
	"time"

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
// moment it is found.
func (h *Hosts) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		if h.config.Events == nil {
			yield(nil, errors.New("events were not subscribed to"))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		var tasks sync.WaitGroup
		h.mu.Lock()
		h.follow = func(m *member) { h.readMember(ctx, m, &tasks) }
		for _, m := range h.members {
			h.follow(m)
		}
		h.mu.Unlock()
		failed := make(chan error, 1)
		if h.main != nil {
			tasks.Go(func() { h.readMain(ctx, failed) })
		}
		tasks.Go(func() { h.rescan(ctx) })
		defer func() {
			cancel()
			h.unfollow()
			tasks.Wait() // who closes the sockets after this finds nobody at them
		}()
		for {
			select {
			case batch := <-h.feed:
				if !yield(batch, nil) {
					return
				}
			case err := <-failed:
				yield(nil, err)
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// send hands a copy of the batch on, for another one is read into it meanwhile.
func (h *Hosts) send(ctx context.Context, batch []mptcp.Event) bool {
	select {
	case h.feed <- append([]mptcp.Event(nil), batch...):
		return true
	case <-ctx.Done():
		return false
	}
}

// readMain reads the events of all numbered namespaces.
func (h *Hosts) readMain(ctx context.Context, failed chan<- error) {
	var kept []mptcp.Event
	for batch, err := range h.main.Batches(ctx) {
		if err != nil {
			failed <- err
			return
		}
		kept = h.attribute(kept[:0], batch)
		if len(kept) > 0 && !h.send(ctx, kept) {
			return
		}
	}
}

// readMember reads the events of a member that has a listener of its own. The
// caller holds mu.
func (h *Hosts) readMember(ctx context.Context, m *member, tasks *sync.WaitGroup) {
	if !m.direct || m.Listener() == nil {
		return
	}
	ctx, m.stop = context.WithCancel(ctx)
	tasks.Go(func() {
		for batch, err := range m.Listener().Batches(ctx) {
			if err != nil {
				return // the namespace was left
			}
			for i := range batch {
				batch[i].Netns = m.netns
			}
			m.hear(batch)
			if !h.send(ctx, batch) {
				return
			}
		}
	})
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
// known yet is looked for at once.
func (h *Hosts) nameOfNumber(nsid int32) string {
	name, known := h.numbered(nsid)
	if !known {
		if err := h.scan(context.Background()); err != nil {
			h.warn("scan", err)
		}
		if name, known = h.numbered(nsid); !known {
			name = "nsid " + strconv.Itoa(int(nsid))
			h.mu.Lock()
			h.numbers[nsid] = name // one that may not be entered
			h.mu.Unlock()
		}
	}
	return name
}

func (h *Hosts) numbered(nsid int32) (name string, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, known = h.numbers[nsid]
	return name, known
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
