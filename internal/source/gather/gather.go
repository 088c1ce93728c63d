package gather

import (
	"context"
	"errors"

	"mptcpctl/doctor"
)

// Site is a network namespace, of the running kernel or of a recording, of which facts
// can be gathered.
type Site interface {
	// Facts returns what doctor judges. What cannot be seen is told in
	// Facts.Unseen, and is no error.
	Facts(ctx context.Context, c *Config) (doctor.Facts, error)
}

// Gather gathers the facts of all views at the same time: they wait for most of it.
func All[V Site](ctx context.Context, views []V, c *Config) ([]doctor.Facts, error) {
	facts := make([]doctor.Facts, len(views))
	failed := make(chan error, len(views))
	for i, view := range views {
		go func() {
			var err error
			facts[i], err = view.Facts(ctx, c)
			failed <- err
		}()
	}
	var err error
	for range views {
		err = errors.Join(err, <-failed)
	}
	if err != nil {
		return nil, err
	}
	return facts, nil
}
