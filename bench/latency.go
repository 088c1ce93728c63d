package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// latency is the time from the system call that makes an event to the line in the
// reader's pipe.
func latency(ctx context.Context, s *settings, r *report) error {
	t := r.table("µs, median of a round", peer)
	rates := []int{200, 1000, 10_000}
	for range s.rounds {
		for _, rate := range rates {
			for _, m := range s.monitors(ours, waiting, prompt, peer, ring) {
				micros, err := m.latency(ctx, rate)
				if err != nil {
					return fmt.Errorf("%s: %w", m.name, err)
				}
				t.add(eventsPerSecond(rate), m.name, micros)
			}
		}
	}
	for _, rate := range rates {
		r.goal(goal{
			what: "time from event to line at " + eventsPerSecond(rate), bound: 1.1, unit: " of ip",
			measured: t.ratio(eventsPerSecond(rate), ours, peer),
		})
	}
	return nil
}

func eventsPerSecond(rate int) string { return fmt.Sprintf("%d/s", rate) }

// latency returns the median at the rate.
func (m monitor) latency(ctx context.Context, rate int) (micros float64, err error) {
	n := min(rate, 2000)
	err = within(func() error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		run, err := m.start(ctx, w)
		w.Close()
		if err != nil {
			return err
		}
		var sent, seen []time.Time
		var reading sync.WaitGroup
		reading.Go(func() {
			for lines := bufio.NewScanner(r); lines.Scan(); {
				seen = append(seen, time.Now())
			}
		})
		err = relisten(ctx, n+1, rate, func(int) { sent = append(sent, time.Now()) })
		_, unrest := run.rest(ctx)
		err = errors.Join(err, unrest, run.stop())
		reading.Wait()
		if len(seen) != n+2 { // the listener itself, and its end
			return errors.Join(err, fmt.Errorf("%d lines of %d", len(seen), n+2))
		}
		var spans []float64
		for i, at := range sent {
			spans = append(spans, float64(seen[i+1].Sub(at).Nanoseconds())/1e3)
		}
		micros = median(spans)
		return err
	})
	return micros, err
}
