package source

import (
	"context"
	"errors"

	"mptcpctl/doctor"
)

// Gather gathers the facts of all views at the same time: they wait for most of it.
func Gather(ctx context.Context, views []View, c *FactsConfig) ([]doctor.Facts, error) {
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
