package main

import (
	"context"
	"errors"
	"fmt"
)

// memory is what a monitor takes when nothing happens, and whether it grows.
func memory(ctx context.Context, s *settings, r *report) error {
	const first, more = 1_000_000, 10_000_000
	names := []string{"nothing yet", "the first million events", "ten million more"}
	t := r.table("MB resident", "")
	for range s.rounds {
		for _, m := range s.monitors(ours, peer, ring, bare) {
			err := within(func() error { return m.memoryAfter(ctx, t, names[:1], nil) })
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	grown := newTable("", "")
	for _, m := range s.monitors(ours, ring) {
		if err := within(func() error { return m.memoryAfter(ctx, t, names[1:], []int{first, more}) }); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		for _, name := range names[1:] {
			grown.add(m.name, name, t.figures(name, m.name).median)
		}
	}
	r.goal(
		goal{
			what:     "memory of a monitor that has nothing to do",
			bound:    1.3,
			unit:     " of ip",
			measured: t.ratio(names[0], ours, peer),
		},
	)
	r.goal(
		goal{
			what:     "memory of a monitor after ten million events more",
			bound:    1.05,
			unit:     " of that after the first million",
			measured: grown.ratio(ours, names[2], names[1]),
		},
	)
	return nil
}

// memoryAfter adds what the monitor has in memory after so many events each, made
// as fast as can be; without any, when it has started.
func (m monitor) memoryAfter(ctx context.Context, t *table, names []string, events []int) error {
	out, finish, err := outlet(ctx, true)
	if err != nil {
		return err
	}
	defer finish()
	r, err := m.start(ctx, out)
	if err != nil {
		return err
	}
	for i, name := range names {
		if events != nil {
			err = errors.Join(err, relisten(ctx, events[i], 0, nil))
		}
		_, unrest := r.rest(ctx)
		err = errors.Join(err, unrest)
		t.add(name, m.name, r.resident()/1e6)
	}
	return errors.Join(err, r.stop())
}
