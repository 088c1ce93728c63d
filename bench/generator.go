package main

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// relisten makes n LISTENER_CREATED, the cheapest event there is: listen() on a
// socket that listens already. A rate above 0 spreads them; each, if not nil, is
// called in front of each. The end makes one LISTENER_CLOSED more.
func relisten(ctx context.Context, n, rate int, each func(i int)) error {
	fd, _, err := listener()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if each == nil {
		each = func(int) {}
	}
	begin := time.Now()
	for i := range n - 1 { // the first is the listener's own
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if rate > 0 {
			waitUntil(begin.Add(time.Duration(i) * time.Second / time.Duration(rate)))
		}
		each(i)
		if err := unix.Listen(fd, 4096+i%2); err != nil {
			return err
		}
	}
	return nil
}

// waitUntil waits: asleep while there is time, then awake, so that the pace holds. The
// runtime's own sleep rounds up to a millisecond, and events would come in bunches.
func waitUntil(t time.Time) {
	for {
		left := time.Until(t)
		if left <= 0 {
			return
		}
		if left > 200*time.Microsecond {
			t := unix.NsecToTimespec(int64(left - 100*time.Microsecond))
			_ = unix.Nanosleep(&t, nil) // woken early, it waits again
		}
	}
}

// connections makes n connections and ends each at once: six events each.
func connections(ctx context.Context, n int) error {
	l, port, err := listener()
	if err != nil {
		return err
	}
	defer unix.Close(l)
	for range n {
		p, err := connect(l, port)
		if err != nil {
			return err
		}
		p.close()
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
