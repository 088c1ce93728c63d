package main

import (
	"context"
	"fmt"
	"time"
)

// storm is listener events, as many and as fast as said.
type storm struct {
	name    string
	n, rate int // rate 0: as fast as can be
	pipe    bool
}

// loss is more events than a reader can follow. What ours print and what they say
// that they lost must be what was made, or the section fails at its end.
func loss(ctx context.Context, s *settings, r *report) error {
	storms := []storm{
		{"burst of 1,000,000, to a pipe", 1_000_000, 0, true},
		{"burst of 1,000,000, to a file", 1_000_000, 0, false}, {"30,000/s, to a pipe", 30_000, 30_000, true},
		{"100,000/s, to a pipe", 100_000, 100_000, true}, {"200,000/s, to a pipe", 200_000, 200_000, true},
		{"400,000/s for 3 s, to a pipe", 1_200_000, 400_000, true},
	}
	lost := r.table("% lost", "")
	rates, kept := newTable("", ""), &books{}
	for range min(s.rounds, 3) {
		for _, storm := range storms {
			for _, m := range s.monitors(ours, peer, ring) {
				missing, rate, err := storm.over(ctx, m, kept)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", storm.name, m.name, err)
				}
				lost.add(storm.name, m.name, missing)
				rates.add(storm.name, "", rate/1e6)
			}
		}
		if err := s.cramped(ctx, lost, kept); err != nil {
			return err
		}
	}
	for _, i := range []int{0, 1, 5} {
		name := storms[i].name
		r.goal(goal{what: "lost, " + name, unit: " %", measured: lost.figures(name, ours)})
		r.goal(goal{what: "lost, " + name + ", with the ring", unit: " %", measured: lost.figures(name, ring)})
	}
	for _, storm := range storms {
		if storm.rate == 0 || storm.rate >= 200_000 {
			r.note("Really made, millions a second: %s %s.", storm.name, rates.figures(storm.name, ""))
		}
	}
	r.goal(kept.goal())
	return kept.failed
}

// cramped adds monitors with a buffer so small that they lose events: it shows
// whether they say so.
func (s *settings) cramped(ctx context.Context, t *table, kept *books) error {
	burst := storm{name: "burst of 250,000, to a pipe", n: 250_000, pipe: true}
	for _, m := range s.monitors(ours, ring) {
		m = m.with("--buffer 1", "--buffer", "1")
		missing, _, err := burst.over(ctx, m, kept)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		t.add(burst.name, m.name, missing)
	}
	return nil
}

// over lets the storm go over the monitor, and returns how many percent it did not
// print, and how many events were really made a second.
func (s storm) over(ctx context.Context, m monitor, kept *books) (missing, rate float64, err error) {
	err = within(func() error {
		t, err := m.keep(ctx, s.pipe, func(*running) error {
			began := time.Now()
			defer func() { rate = float64(s.n) / time.Since(began).Seconds() }()
			return relisten(ctx, s.n, s.rate, nil)
		})
		if err != nil {
			return err
		}
		made := s.n + 1 // the listener's end is an event too
		missing = t.missing(made)
		if m.ours {
			kept.check(t, made, m)
		}
		return nil
	})
	return missing, rate, err
}
