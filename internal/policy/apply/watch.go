package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"

	"mptcpctl/internal/policy"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

const (
	watchInterval = 2 * time.Second        // between two looks when nothing is told
	watchSettle   = 50 * time.Millisecond  // changes come in flocks
	firstHold     = 500 * time.Millisecond // of an endpoint that came and went; doubles
	lastHold      = time.Minute
)

// Watch keeps what the policy asks for until ctx ends.
func (r *Run) Watch(ctx context.Context) error {
	if err := r.record.lock(); err != nil {
		return err
	}
	connections, err := live.Dial(nil)
	if err != nil {
		return err
	}
	defer connections.Close()
	changed := hostChanges(ctx, watchInterval)
	v, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := r.writePlan(ctx, v); err != nil {
		return err
	}
	w := &watcher{run: r, connections: connections, holds: map[holdKey]*hold{}, said: map[string]bool{}}
	if err := r.carryOut(ctx, v); errors.Is(err, fs.ErrPermission) {
		return err
	} else if err != nil {
		w.say(fmt.Sprintf("trouble: %v", err))
	}
	w.stamp()
	fmt.Fprintln(r.Out, "watching")
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchSettle):
		}
		if err := w.step(ctx, time.Now()); err != nil && ctx.Err() == nil {
			w.say(fmt.Sprintf("trouble: %v", err))
		}
	}
}

// watcher is what watch remembers between two looks.
type watcher struct {
	run         *Run
	connections *live.Host
	recreator   policy.Recreator
	holds       map[holdKey]*hold
	said        map[string]bool // complaints, so that each is made once
	read        time.Time       // when the file that is in force was written
}

type holdKey struct {
	addr netip.Addr
	port uint16
}

// hold is the pause of an endpoint that was added lately.
type hold struct {
	until time.Time
	pause time.Duration
}

// step makes things as the file says.
func (w *watcher) step(ctx context.Context, now time.Time) error {
	w.reload()
	v, err := w.run.look(ctx)
	if err != nil {
		return err
	}
	w.pace(v.plan, now)
	if !v.plan.Empty() {
		w.tell(v.plan)
		if err := w.run.carryOut(ctx, v); err != nil {
			return err
		}
	}
	return w.recreate(ctx, v, now)
}

// pace takes out of the plan what was added too lately to be added again.
func (w *watcher) pace(plan *policy.Plan, now time.Time) {
	kept := plan.Changes[:0]
	for _, c := range plan.Changes {
		if c.Kind != policy.Add {
			kept = append(kept, c)
			continue
		}
		key := holdKey{c.After.Address, c.After.Port}
		h := w.holds[key]
		switch {
		case h == nil:
			h = &hold{}
			w.holds[key] = h
		case now.Before(h.until):
			continue
		case now.Sub(h.until) > 2*h.pause: // it had rest since
			h.pause = 0
		}
		h.pause = min(max(2*h.pause, firstHold), lastHold)
		h.until = now.Add(h.pause)
		kept = append(kept, c)
	}
	plan.Changes = kept
}

// tell prints what is about to be done.
func (w *watcher) tell(plan *policy.Plan) {
	if plan.Limits != nil {
		fmt.Fprintf(
			w.run.Out, "limits: subflows %d add_addr_accepted %d\n", plan.Limits.Subflows,
			plan.Limits.AddAddrAccepted,
		)
	}
	for _, c := range plan.Changes {
		fmt.Fprintln(w.run.Out, changeText(c))
	}
}

// recreate makes the kernel try again where subflows died.
func (w *watcher) recreate(ctx context.Context, v *view, now time.Time) error {
	snapshot, err := w.connections.Snapshot(ctx)
	if err != nil {
		return err
	}
	usable := map[netip.Addr]bool{}
	for _, a := range v.host.Addresses {
		usable[a.Addr] = usable[a.Addr] || a.Lasting
	}
	state, err := w.run.record.load()
	if err != nil {
		return err
	}
	present, err := endpoints(ctx, w.run.pm)
	if err != nil {
		return err
	}
	var own []mptcp.Endpoint
	for _, e := range present {
		if state.Owns(e) {
			own = append(own, e)
		}
	}
	due := w.recreator.Due(now, own, track.Join(snapshot), func(a netip.Addr) bool { return usable[a] })
	for _, e := range due {
		fmt.Fprintf(w.run.Out, "adding %s again: connections lack a subflow from it\n", endpointText(e))
		if err := w.run.remove(ctx, e); err != nil {
			return err
		}
		if err := w.run.pm.AddEndpoint(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// reload reads the file again if it has changed. A file that is wrong leaves the
// last right one in force.
func (w *watcher) reload() {
	info, err := os.Stat(w.run.File)
	if err != nil || info.ModTime().Equal(w.read) {
		return // an editor may just be replacing it
	}
	p, err := read(w.run.File)
	if err != nil {
		w.say(fmt.Sprintf("%v: the last valid file stays in force", err))
		return
	}
	w.run.policy, w.read = p, info.ModTime()
	fmt.Fprintf(w.run.Out, "read %s again\n", w.run.File)
}

// stamp remembers the file that is in force.
func (w *watcher) stamp() {
	if info, err := os.Stat(w.run.File); err == nil {
		w.read = info.ModTime()
	}
}

// say complains, once for each complaint.
func (w *watcher) say(text string) {
	if !w.said[text] {
		w.said[text] = true
		w.run.Warn("%s", text)
	}
}
