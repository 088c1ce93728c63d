// Package pace carries what a program asks of the reading of events from the program to
// package pathmanager, within a context, as package net takes internal/nettrace from one.
// The public configuration says nothing about it: the defaults serve everybody else.
package pace

import (
	"context"
	"os"
	"time"
)

// Pace is how a program wants to read events.
type Pace struct {
	// Coalesce bounds how long an event may wait for others, so that they are read
	// together, when more than about 1,500 come in a second. 0 leaves the default, which
	// is at most 2 ms when more than about 18,000 come in a second. Below 0 no event waits.
	Coalesce time.Duration

	// Output, if it is a pipe, ends the iteration without an error when nobody reads from
	// the pipe any more. Otherwise the program would learn of it only when it writes the
	// next event, which may never come.
	Output *os.File
}

type key struct{}

// With returns a context whose readers of events keep to p.
func With(ctx context.Context, p Pace) context.Context { return context.WithValue(ctx, key{}, p) }

// Of returns what the context says, the zero value for nothing.
func Of(ctx context.Context) Pace {
	p, _ := ctx.Value(key{}).(Pace)
	return p
}
