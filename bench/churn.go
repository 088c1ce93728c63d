package main

import "context"

// churn is connections at full speed: what their events cost the reader, and what
// being read costs the workload.
func churn(ctx context.Context, s *settings, r *report) error {
	const n, events = 3000, 6
	load := unprepared(func(ctx context.Context) (int, error) { return events * n, connections(ctx, n) })
	file := r.table("output to a file: "+perEvent, peer)
	pipe := r.table("output to a pipe: "+perEvent, peer)
	tax := r.table("what the workload pays: µs of processor per connection", peer)
	for range s.rounds {
		alone, err := trial{load: load}.alone(ctx)
		if err != nil {
			return err
		}
		tax.add("", "nobody reads", events*alone/1e3)
		for _, m := range s.monitors(ours, waiting, prompt, peer, ring, plain, bare) {
			spent, err := trial{load: load}.measure(ctx, m)
			if err != nil {
				return err
			}
			file.add("", m.name, spent.reader)
			tax.add("", m.name, events*spent.workload/1e3)
		}
		for _, m := range s.monitors(ours, peer, ring, plain, bare) {
			spent, err := trial{load: load, pipe: true}.measure(ctx, m)
			if err != nil {
				return err
			}
			pipe.add("", m.name, spent.reader)
		}
	}
	r.goal(
		goal{
			what:     "connections at full speed, to a file: processor time per event",
			bound:    0.28,
			unit:     " of ip",
			measured: file.ratio("", ours, peer),
		},
	)
	r.goal(
		goal{
			what:     "connections at full speed, to a pipe",
			bound:    0.16,
			unit:     " of ip",
			measured: pipe.ratio("", ours, peer),
		},
	)
	r.goal(
		goal{
			what:     "connections at full speed, to a file, with the ring",
			bound:    0.15,
			unit:     " of ip",
			measured: file.ratio("", ring, peer),
		},
	)
	r.goal(
		goal{
			what:     "connections at full speed, to a pipe, with the ring",
			bound:    0.07,
			unit:     " of ip",
			measured: pipe.ratio("", ring, peer),
		},
	)
	r.goal(
		goal{
			what:     "connections at full speed: what the workload pays",
			bound:    0.85,
			unit:     " of that under ip",
			measured: tax.ratio("", ours, peer),
		},
	)
	return nil
}
