package live

import (
	"context"
	"fmt"
	"time"

	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// mostWatched is in how many namespaces at once gatherings listen: each listener has
// buffers of its own.
const mostWatched = 64

// watch is the listening to events during the window, or, with [gather.Config.Keep], from
// the first window on.
type watch struct {
	listener *pathmanager.Listener
	heard    gather.Heard
	lost     uint64        // of those that the listener has lost, those of earlier windows
	later    []mptcp.Event // that came after the time of the facts
	last     reading       // at the end of the last window

	stop context.CancelFunc
	done chan []mptcp.Event
}

// watch begins to listen, or goes on, where that is allowed and changes nothing: with a
// userspace path manager the kernel accepts joins while somebody listens
// (mptcp_userspace_pm_active). It returns nil otherwise.
func (g *gathering) watch(ctx context.Context) *watch {
	if g.c.Window <= 0 {
		return nil
	}
	if g.f.Sysctls.Raw != nil && g.f.Sysctls.PathManagerName() != "kernel" {
		g.gap(
			"events",
			"doctor does not listen, because listening makes the kernel accept joins that a userspace path manager "+
				"must manage",
		)
		g.h.endWatch()
		return nil
	}
	if g.round.many {
		g.gap("events", fmt.Sprintf("doctor does not listen in more than %d network namespaces at once", mostWatched))
		return nil
	}
	w := g.h.watch
	if w == nil || !g.c.Keep {
		if w = g.listen(ctx); w == nil {
			return nil
		}
	}
	if g.c.Keep {
		g.h.watch = w
	}
	w.read(ctx)
	return w
}

// listen subscribes, and notes the connections that are older than that.
func (g *gathering) listen(ctx context.Context) *watch {
	var listener *pathmanager.Listener
	err := g.h.inside(func() (err error) {
		listener, err = pathmanager.Listen(&pathmanager.ListenConfig{Buffer: 4 << 20})
		return err
	})
	if err != nil {
		g.miss("events", err)
		return nil
	}
	w := &watch{listener: listener, heard: gather.Heard{Since: time.Now(), Earlier: map[mptcp.Token]bool{}}}
	for c, err := range g.h.diag.Connections(ctx, nil) {
		if err != nil {
			g.miss("connections", err)
			break
		}
		w.heard.Earlier[c.Info.Token] = true
	}
	return w
}

// read reads what comes, until stop is called; then done has it.
func (w *watch) read(ctx context.Context) {
	ctx, w.stop = context.WithCancel(ctx)
	w.done = make(chan []mptcp.Event, 1)
	go func() {
		var heard []mptcp.Event
		for batch, err := range toTheEnd(ctx, w.listener) {
			if err != nil || len(heard) > gather.MostEvents {
				break
			}
			heard = append(heard, batch...)
		}
		w.done <- heard
	}()
}

// endWatch ends the listening that was kept.
func (h *Host) endWatch() {
	if h.watch != nil {
		h.watch.listener.Close() // nobody reads it
		h.watch = nil
	}
}

// events takes what was heard until the counters were read for the second time: so
// that these tell of all of it.
func (g *gathering) events(w *watch) {
	if w == nil {
		return
	}
	lost := w.listener.Lost() // those included that the reader has not come to
	w.stop()
	heard := append(w.later, <-w.done...)
	if !g.c.Keep {
		defer w.listener.Close()
	}
	if len(heard) > gather.MostEvents {
		g.gap("events", "there were more events than doctor keeps")
		g.h.endWatch()
		return
	}
	w.later = nil
	for _, ev := range heard {
		ev.Netns = g.h.netns
		if ev.Type != mptcp.EventLost && ev.Time.After(g.f.Time) {
			w.later = append(w.later, ev)
			continue
		}
		w.heard.Take(ev)
	}
	w.heard.Lost = max(w.heard.Lost, lost-w.lost)
	w.heard.Tell(&g.f)
	w.heard.Turn(g.f.Time, g.found.Connections)
	w.lost = lost
}
