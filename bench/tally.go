package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
)

// tally counts what a monitor printed.
type tally struct {
	printed int // events
	lost    int // those that it says it lost
}

// count reads a monitor's lines to their end: one for each event, or one that says
// how many were lost.
func (t *tally) count(r io.Reader) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		_, number, ok := bytes.Cut(lines.Bytes(), []byte("LOST] lost="))
		if !ok {
			t.printed++
			continue
		}
		n, err := strconv.Atoi(string(number))
		if err != nil {
			return err
		}
		t.lost += n
	}
	return lines.Err()
}

// check returns an error unless what was printed and what was lost are what was
// made.
func (t tally) check(made int) error {
	if t.printed+t.lost != made {
		return fmt.Errorf("the books are wrong: printed %d and lost %d of %d", t.printed, t.lost, made)
	}
	return nil
}

// books are the checks of all tallies of a section.
type books struct {
	runs, wrong int
	failed      error
}

// check adds a tally of a monitor that says what it lost.
func (b *books) check(t tally, made int, m monitor) {
	b.runs++
	if err := t.check(made); err != nil {
		b.wrong++
		b.failed = errors.Join(b.failed, fmt.Errorf("%s: %w", m.name, err))
	}
}

// goal returns that all of them are exact.
func (b *books) goal() goal {
	return goal{
		what:     "runs in which lines printed and losses reported are not the events made",
		unit:     fmt.Sprintf(" of %d", b.runs),
		measured: spreadOf([]float64{float64(b.wrong)}),
	}
}

// missing returns how many percent of the events that were made are not printed.
func (t tally) missing(made int) float64 { return 100 * float64(made-t.printed) / float64(made) }

// keep has the monitor's output read while produce runs, and returns its tally
// when the monitor has read all there is.
func (m monitor) keep(ctx context.Context, pipe bool, produce func(*running) error) (t tally, err error) {
	var reading sync.WaitGroup
	var out *os.File
	var failed error
	if pipe {
		r, w, err := os.Pipe()
		if err != nil {
			return t, err
		}
		defer r.Close()
		reading.Go(func() { failed = t.count(r) })
		out = w
	} else if out, err = scratch(); err != nil {
		return t, err
	}
	run, err := m.start(ctx, out)
	if err == nil {
		err = produce(run)
		_, unrest := run.rest(ctx)
		err = errors.Join(err, unrest, run.stop())
	}
	if !pipe && err == nil {
		_, err = out.Seek(0, io.SeekStart)
		err = errors.Join(err, t.count(out))
	}
	out.Close()
	reading.Wait()
	return t, errors.Join(err, failed)
}
