package gather

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"mptcpctl/doctor"
)

// Site is a network namespace, of the running kernel or of a recording, of which facts
// can be gathered.
type Site interface {
	// Facts returns what doctor judges. What cannot be seen is told in
	// Facts.Unseen, and is no error.
	Facts(ctx context.Context, c *Config) (doctor.Facts, error)
}

// Together is a site that gathers facts in step with others of its kind.
type Together interface {
	// FactsOf returns the facts of all the sites, of which the receiver is one.
	FactsOf(ctx context.Context, sites []Site, c *Config) ([]doctor.Facts, error)
}

// All gathers the facts of all sites. Those of the running kernel wait together, and
// read once what is the same for all; few are read at the same time, however many there
// are.
func All[V Site](ctx context.Context, views []V, c *Config) ([]doctor.Facts, error) {
	if len(views) > 1 {
		if first, ok := any(views[0]).(Together); ok {
			sites := make([]Site, len(views))
			for i, view := range views {
				sites[i] = view
			}
			return first.FactsOf(ctx, sites, c)
		}
	}
	facts := make([]doctor.Facts, len(views))
	failed := make([]error, len(views))
	Pool(ctx, len(views), func(i int) { facts[i], failed[i] = views[i].Facts(ctx, c) })
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, err
	}
	return facts, nil
}

// Pool calls do with each number below n, a few at the same time, until ctx is done. In
// a network namespace each holds a thread.
func Pool(ctx context.Context, n int, do func(i int)) {
	next := make(chan int)
	var working sync.WaitGroup
	for range min(n, max(4, 2*runtime.GOMAXPROCS(0))) {
		working.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	working.Wait()
}
