package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
)

// stopped is a reader that does not run while the events come, as on a host that
// has other things to do.
func stopped(ctx context.Context, s *settings, r *report) error {
	const wanted = 160_000
	t, kept := r.table("events that it printed afterwards", ""), &books{}
	for range min(s.rounds, 3) {
		for _, n := range []int{wanted, 200_000} {
			for _, m := range s.monitors(ours, peer, ring) {
				printed, err := m.sleepThrough(ctx, n, kept)
				if err != nil {
					return fmt.Errorf("%s: %w", m.name, err)
				}
				t.add(fmt.Sprintf("%d events", n), m.name, printed)
			}
		}
	}
	load := fmt.Sprintf("%d events", wanted)
	r.goal(
		goal{
			what:     "events that survive a stopped reader",
			bound:    wanted,
			atLeast:  true,
			measured: t.figures(load, ours),
		},
	)
	r.goal(
		goal{
			what:     "events that survive a stopped reader, with the ring",
			bound:    wanted,
			atLeast:  true,
			measured: t.figures(load, ring),
		},
	)
	g := kept.goal()
	g.what += ", of a stopped reader"
	r.goal(g)
	return kept.failed
}

// sleepThrough stops the monitor, makes n events, lets it go on, and returns how
// many it printed of them.
func (m monitor) sleepThrough(ctx context.Context, n int, kept *books) (printed float64, err error) {
	err = within(func() error {
		t, err := m.keep(ctx, true, func(r *running) error {
			err := r.signal(syscall.SIGSTOP)
			return errors.Join(
				err, relisten(ctx, n-1, 0, nil), r.signal(syscall.SIGCONT),
			) // its end is the last of them
		})
		if err != nil {
			return err
		}
		printed = float64(t.printed)
		if m.ours {
			kept.check(t, n, m)
		}
		return nil
	})
	return printed, err
}
