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

	// Dedicated says that the process does little else than to read these events. It then
	// holds its processor while it waits for the next event, for up to 24 ms, and other
	// goroutines may wait that long for their turn if there is one processor.
	Dedicated bool

	// Late, if not nil, is called on the thread of a wait that ended more than a millisecond
	// late, which may be a thread with a timer slack that the program has changed.
	Late func()

	// Output, if it is a pipe, ends the iteration without an error when nobody reads from
	// the pipe any more. Otherwise the program would learn of it only when it writes the
	// next event, which may never come.
	Output *os.File

	// Poller, if not nil, waits for this reader together with others. A wait then holds no
	// thread, and none is short.
	Poller Poller
}

// Poller waits for many readers at once.
type Poller interface {
	// Add takes in a descriptor that epoll can wait for.
	Add(fd int) (Waiter, error)
}

// Waiter waits for one descriptor. One goroutine at a time may wait.
type Waiter interface {
	// Wait waits until the descriptor can be read. It may also end without a reason.
	Wait() (Wake, error)
	// Remove takes the descriptor out, before it is closed.
	Remove()
}

// Wake is the end of a wait.
type Wake struct {
	At          time.Time // when it ended; its reader may run later
	Interrupted bool      // what is there may have come while the process was stopped
}

type key struct{}

// With returns a context whose readers of events keep to p.
func With(ctx context.Context, p Pace) context.Context { return context.WithValue(ctx, key{}, p) }

// Of returns what the context says, the zero value for nothing.
func Of(ctx context.Context) Pace {
	p, _ := ctx.Value(key{}).(Pace)
	return p
}
