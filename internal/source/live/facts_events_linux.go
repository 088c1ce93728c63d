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
		g.gap(
			"events",
			"doctor does not listen, because listening makes the kernel accept joins that a userspace path manager "+
				"must manage",
		)
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
	w := &watch{
		since:    time.Now(),
		listener: listener,
		earlier:  map[mptcp.Token]bool{},
		done:     make(chan []mptcp.Event, 1),
	}
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
	heard := <-w.done
	if len(heard) > gather.MostEvents {
		g.gap("events", "there were more events than doctor keeps")
		return
	}
	all := gather.Heard{Since: w.since, Earlier: w.earlier}
	for _, ev := range heard {
		if ev.Type != mptcp.EventLost && ev.Time.After(g.f.Time) {
			continue
		}
		ev.Netns = g.h.netns
		all.Take(ev)
	}
	all.Lost = max(all.Lost, lost)
	all.Tell(&g.f)
}
