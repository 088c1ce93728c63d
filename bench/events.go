package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// load prepares what is not to be measured, and returns what makes the events and
// says how many they are, and what takes the preparations back.
type load func(context.Context) (produce func() (int, error), done func(), err error)

// unprepared is a load that needs no preparation.
func unprepared(produce func(context.Context) (int, error)) load {
	return func(ctx context.Context) (func() (int, error), func(), error) {
		return func() (int, error) { return produce(ctx) }, func() {}, nil
	}
}

// spent is processor time per event, in nanoseconds.
type spent struct{ reader, workload float64 }

// trial is how a monitor meets a load.
type trial struct {
	pipe    bool // its output goes to a pipe that somebody reads, else to a file in memory
	stopped bool // it is stopped while the events are made
	load    load
}

// measure lets the monitor read what the load makes, in a namespace of its own.
func (t trial) measure(ctx context.Context, m monitor) (s spent, err error) {
	err = within(func() error {
		produce, done, err := t.load(ctx)
		if err != nil {
			return err
		}
		defer done()
		out, finish, err := outlet(ctx, t.pipe)
		if err != nil {
			return err
		}
		defer finish()
		r, err := m.start(ctx, out)
		if err != nil {
			return err
		}
		s, err = r.meet(ctx, t.stopped, produce)
		return errors.Join(err, r.stop())
	})
	if err != nil {
		err = fmt.Errorf("%s: %w", m.name, err)
	}
	return s, err
}

// meet measures the running monitor. The first time is not counted: it warms the
// monitor up. What it costs by itself to be stopped is not counted either.
func (r *running) meet(ctx context.Context, stopped bool, produce func() (int, error)) (s spent, err error) {
	var pause time.Duration
	if stopped {
		if pause, err = r.pause(ctx); err != nil {
			return s, err
		}
	}
	for range 2 {
		before := r.cpu()
		if stopped {
			err = r.signal(syscall.SIGSTOP)
		}
		began := spentBy(unix.RUSAGE_THREAD)
		n, failed := produce()
		workload := spentBy(unix.RUSAGE_THREAD) - began
		if stopped {
			err = errors.Join(err, r.signal(syscall.SIGCONT))
		}
		after, unrest := r.rest(ctx)
		if err = errors.Join(err, failed, unrest); err != nil {
			return s, err
		}
		s = spent{float64(after-before-pause) / float64(n), float64(workload) / float64(n)}
	}
	return s, nil
}

// pausesEach is how often a monitor is stopped to know what that costs.
const pausesEach = 3

// pause returns what it costs the monitor to be stopped and to go on when nothing has
// happened meanwhile: every thread of it is woken twice. It is the median of some.
func (r *running) pause(ctx context.Context) (time.Duration, error) {
	var costs []time.Duration
	for range pausesEach {
		before := r.cpu()
		err := r.signal(syscall.SIGSTOP)
		time.Sleep(10 * time.Millisecond) // about as long as the events take to be made
		err = errors.Join(err, r.signal(syscall.SIGCONT))
		after, unrest := r.rest(ctx)
		if err = errors.Join(err, unrest); err != nil {
			return 0, err
		}
		costs = append(costs, after-before)
	}
	slices.Sort(costs)
	return costs[len(costs)/2], nil
}

// alone measures the load when nobody reads its events.
func (t trial) alone(ctx context.Context) (workload float64, err error) {
	err = within(func() error {
		produce, done, err := t.load(ctx)
		if err != nil {
			return err
		}
		defer done()
		for range 2 {
			began := spentBy(unix.RUSAGE_THREAD)
			n, err := produce()
			if err != nil {
				return err
			}
			workload = float64(spentBy(unix.RUSAGE_THREAD)-began) / float64(n)
			time.Sleep(100 * time.Millisecond) // what it leaves behind comes to its end
		}
		return nil
	})
	return workload, err
}

// outlet is where a monitor prints to: a file in memory, or a pipe to cat, which sleeps
// until something comes, as the programs do that people put behind a monitor.
func outlet(ctx context.Context, pipe bool) (*os.File, func(), error) {
	if !pipe {
		f, err := scratch()
		return f, func() { f.Close() }, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	cat := command(ctx, "cat")
	cat.Stdin = r
	if err := cat.Start(); err != nil {
		w.Close()
		return nil, nil, err
	}
	return w, func() { w.Close(); _ = cat.Wait() }, nil
}

// perEvent is the unit of most tables on events.
const perEvent = "ns of processor per event"

// backlogsARound is how many backlogs each program reads in a round: one is read in
// three milliseconds.
const backlogsARound = 3

// backlog is events that wait and are read at once; they are as many as ip's buffer
// holds.
func backlog(ctx context.Context, s *settings, r *report) error {
	const held, changes = 100, 12 // both ends are here: two events a connection and change
	stopped := trial{stopped: true, load: func(ctx context.Context) (func() (int, error), func(), error) {
		p, err := newPriorities(ctx, held)
		if err != nil {
			return nil, nil, err
		}
		produce := func() (int, error) {
			for range changes {
				if err := p.change(ctx); err != nil {
					return 0, err
				}
			}
			return 2 * held * changes, nil
		}
		return produce, p.close, nil
	}}
	t := r.table(perEvent, peer)
	for range s.rounds * backlogsARound {
		for _, m := range s.monitors(ours, peer, ring, bare) {
			spent, err := stopped.measure(ctx, m)
			if err != nil {
				return err
			}
			t.add("", m.name, spent.reader)
		}
	}
	r.goal(
		goal{what: "backlog: processor time per event", bound: 0.45, unit: " of ip", measured: t.ratio("", ours, peer)},
	)
	r.goal(goal{what: "backlog: the same", bound: 1.4, unit: " of a bare drain", measured: t.ratio("", ours, bare)})
	r.goal(
		goal{what: "backlog, with the ring", bound: 0.4, unit: " of a bare drain", measured: t.ratio("", ring, bare)},
	)
	return nil
}

// pacesARound is how often each program runs in a round: what it costs to be woken
// differs by a third from one process to the next, of the same program too.
const pacesARound = 4

// paced is one event at a time.
func paced(ctx context.Context, s *settings, r *report) error {
	const n = 2000
	single := trial{
		load: unprepared(func(ctx context.Context) (int, error) { return n, relisten(ctx, n-1, 4000, nil) }),
	}
	t := r.table(perEvent, peer)
	for range s.rounds * pacesARound {
		for _, m := range s.monitors(ours, waiting, prompt, peer, ring, bare) {
			spent, err := single.measure(ctx, m)
			if err != nil {
				return err
			}
			t.add("", m.name, spent.reader)
		}
	}
	r.goal(
		goal{
			what:     "one event at a time, not coalesced: processor time",
			bound:    1.0,
			unit:     " of ip",
			measured: t.ratio("", prompt, peer),
		},
	)
	r.goal(
		goal{
			what:     "one event at a time, coalesced: processor time",
			bound:    0.55,
			unit:     " of ip",
			measured: t.ratio("", waiting, peer),
		},
	)
	return nil
}
