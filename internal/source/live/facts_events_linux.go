package live

import (
	"context"
	"fmt"
	"slices"
	"time"

	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// mostWatched is in how many namespaces at once gatherings listen: each listener has
// buffers of its own.
const mostWatched = 64

// watch is the listening to events during the window.
type watch struct {
	since    time.Time
	listener *pathmanager.Listener
	earlier  map[mptcp.Token]bool // connections that were there when it began
	stop     context.CancelFunc
	done     chan []mptcp.Event
}

// watch begins to listen, where that is allowed and changes nothing: with a
// userspace path manager the kernel accepts joins while somebody listens
// (mptcp_userspace_pm_active). It returns nil otherwise.
func (g *gathering) watch(ctx context.Context) *watch {
	if g.c.Window <= 0 {
		return nil
	}
	if g.f.Sysctls.Raw != nil && g.f.Sysctls.PathManagerName() != "kernel" {
		g.gap("events", "doctor does not listen, because listening makes the kernel accept joins that a userspace path manager must manage")
		return nil
	}
	if g.round.many {
		g.gap("events", fmt.Sprintf("doctor does not listen in more than %d network namespaces at once", mostWatched))
		return nil
	}
	var listener *pathmanager.Listener
	err := g.h.inside(func() (err error) {
		listener, err = pathmanager.Listen(&pathmanager.ListenConfig{Buffer: 4 << 20})
		return err
	})
	if err != nil {
		g.miss("events", err)
		return nil
	}
	w := &watch{since: time.Now(), listener: listener, earlier: map[mptcp.Token]bool{}, done: make(chan []mptcp.Event, 1)}
	ctx, w.stop = context.WithCancel(ctx)
	go func() {
		defer listener.Close()
		var heard []mptcp.Event
		for batch, err := range listener.Batches(ctx) {
			if err != nil || len(heard) > gather.MostEvents {
				break
			}
			heard = append(heard, batch...)
		}
		w.done <- heard
	}()
	for c, err := range g.h.diag.Connections(ctx, nil) {
		if err != nil {
			g.miss("connections", err)
			break
		}
		w.earlier[c.Info.Token] = true
	}
	return w
}

// events takes what was heard until the counters were read for the second time: so
// that these tell of all of it.
func (g *gathering) events(w *watch) {
	if w == nil {
		return
	}
	lost := w.listener.Lost() // those included that the reader has not come to
	w.stop()
	created := map[mptcp.Token]bool{}
	heard := <-w.done
	if len(heard) > gather.MostEvents {
		g.gap("events", "there were more events than doctor keeps")
		return
	}
	for _, ev := range heard {
		switch {
		case ev.Type == mptcp.EventLost:
			g.f.EventsLost += ev.Lost
			continue
		case ev.Time.After(g.f.Time):
			continue
		case ev.Type == mptcp.EventCreated:
			created[ev.Token] = true
		}
		ev.Netns = g.h.netns
		g.f.Events = append(g.f.Events, ev)
	}
	g.f.EventsSince, g.f.EventsLost = w.since, max(g.f.EventsLost, lost)
	for i := range g.f.Connections {
		if token := g.f.Connections[i].Token; !created[token] {
			w.earlier[token] = true // it came behind the last event that counts
		}
	}
	for token := range w.earlier {
		g.f.EarlierThan = append(g.f.EarlierThan, token)
	}
	slices.Sort(g.f.EarlierThan)
}
