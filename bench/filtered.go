package main

import "context"

// filtered is events that the reader has not asked for: the kernel drops them.
func filtered(ctx context.Context, s *settings, r *report) error {
	const n = 300_000
	listeners := trial{
		load: unprepared(func(ctx context.Context) (int, error) { return n, relisten(ctx, n-1, 0, nil) }),
	}
	t := r.table(perEvent, ours)
	const filter = "event SF_CLOSED"
	for range min(s.rounds, 3) {
		all := s.monitors(ours)
		for _, m := range s.monitors(ours, ring) {
			all = append(all, m.with(filter, "event", "SF_CLOSED"))
		}
		for _, m := range all {
			spent, err := listeners.measure(ctx, m)
			if err != nil {
				return err
			}
			t.add("", m.name, spent.reader)
		}
	}
	r.goal(
		goal{
			what:     "an event that is filtered out: the reader's processor time",
			bound:    0.01,
			unit:     " of one that is printed",
			measured: t.ratio("", ours+" "+filter, ours),
		},
	)
	return nil
}
