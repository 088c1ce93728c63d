package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"mptcpctl/internal/lab"

	"golang.org/x/sys/unix"
)

// within runs f on a thread in a new namespace, on the first processor.
func within(f func() error) error {
	ns, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		var cpu unix.CPUSet
		cpu.Set(0)
		if runtime.NumCPU() > 1 {
			_ = unix.SchedSetaffinity(0, &cpu) // one processor: no matter
		}
		return f()
	})
}

// startUp compares whole processes that ask one small thing.
func startUp(s *settings) (*table, error) {
	t := newTable("Start-up: a one-shot command, whole process", "processor ms", "ip mptcp limits")
	wall := newTable("", "wall ms", "ip mptcp limits")
	err := within(func() error {
		for range s.rounds * 10 {
			for name, args := range map[string][]string{
				"mptcpctl limits show": {s.tool("mptcpctl"), "limits", "show"},
				"ip mptcp limits":      {s.ip, "mptcp", "limits"},
				"true (bare process)":  {"/bin/true"},
			} {
				cpu, took, _, err := once(args...)
				if err != nil {
					return err
				}
				t.add(name, cpu.Seconds()*1e3)
				wall.add(name, took.Seconds()*1e3)
			}
		}
		return nil
	})
	t.notes = append(t.notes, wall.String())
	return t, err
}

// load prepares what is not to be measured, and returns what makes the events and
// says how many they are, and what takes the preparations back.
type load func() (produce func() (int, error), done func(), err error)

// measureEvents lets each monitor read what the load makes, and adds its processor
// time per event. The first time is not counted: it warms the monitor up.
func (s *settings) measureEvents(t *table, pipe, stopped bool, ready load) error {
	for range s.rounds {
		for _, c := range s.consumers() {
			err := within(func() error {
				produce, done, err := ready()
				if err != nil {
					return err
				}
				defer done()
				spent, err := c.measure(pipe, stopped, produce)
				t.add(c.name, spent)
				return err
			})
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// measure returns the nanoseconds that the monitor spent on an event.
func (c consumer) measure(pipe, stopped bool, produce func() (int, error)) (float64, error) {
	out, finish, err := outlet(pipe)
	if err != nil {
		return 0, err
	}
	defer finish()
	r, err := c.start(out)
	if err != nil {
		return 0, err
	}
	spent := 0.0
	for range 2 {
		before := r.cpu()
		if stopped {
			err = errors.Join(err, r.cmd.Process.Signal(syscall.SIGSTOP))
		}
		n, failed := produce()
		if stopped {
			err = errors.Join(err, r.cmd.Process.Signal(syscall.SIGCONT))
		}
		spent = float64(r.rest()-before) / float64(n)
		err = errors.Join(err, failed)
	}
	return spent, errors.Join(err, r.stop())
}

// outlet is where a monitor prints to: a file in memory, or a pipe that somebody
// reads.
func outlet(pipe bool) (*os.File, func(), error) {
	if !pipe {
		f, err := scratch()
		return f, func() { f.Close() }, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			if _, err := r.Read(buffer); err != nil {
				return
			}
		}
	}()
	return w, func() { w.Close(); r.Close() }, nil
}

// burst is a backlog that is read at once: 2,400 events, which ip's buffer holds.
func burst(s *settings) (*table, error) {
	t := newTable("Backlog of 2,400 events with all attributes, read at once", "ns of processor per event", "ip")
	const held, changes = 100, 12 // both ends are here: two events a connection and change
	return t, s.measureEvents(t, false, true, func() (func() (int, error), func(), error) {
		p, err := newPriorities(held)
		if err != nil {
			return nil, nil, err
		}
		produce := func() (int, error) {
			for range changes {
				if err := p.change(); err != nil {
					return 0, err
				}
			}
			return 2 * held * changes, nil
		}
		return produce, p.close, nil
	})
}

// plain is a load that needs no preparation.
func plain(produce func() (int, error)) load {
	return func() (func() (int, error), func(), error) { return produce, func() {}, nil }
}

// churn is connections at full speed.
func churn(s *settings) (*table, error) {
	t := newTable("Connections at full speed, 3,000 of them, output to a file", "ns of processor per event", "ip")
	const n = 3000
	ready := plain(func() (int, error) { return 6 * n, connections(n) })
	if err := s.measureEvents(t, false, false, ready); err != nil {
		return nil, err
	}
	pipe := newTable("", "the same to a pipe, ns per event", "ip")
	if err := s.measureEvents(pipe, true, false, ready); err != nil {
		return nil, err
	}
	t.notes = append(t.notes, pipe.String())
	return t, nil
}

// paced is one event at a time.
func paced(s *settings) (*table, error) {
	t := newTable("One event at a time, 4,000 a second", "ns of processor per event", "ip")
	const n = 6000
	return t, s.measureEvents(t, false, false, plain(func() (int, error) { return n, relisten(n, 4000, nil) }))
}

// latency is the time from the system call that makes an event to the line in the
// reader's pipe.
func latency(s *settings) (*table, error) {
	t := newTable("From the event to the line in the reader's pipe", "microseconds, median of a round", "ip, 1000/s")
	for range s.rounds {
		for _, rate := range []int{200, 1000, 10000} {
			for _, c := range s.consumers() {
				if c.name == "bare drain" {
					continue
				}
				micros, err := c.latency(rate)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
				t.add(fmt.Sprintf("%s, %d/s", c.name, rate), micros)
			}
		}
	}
	for _, rate := range []int{200, 1000, 10000} {
		for _, name := range []string{"mptcpctl", "mptcpctl, no coalescing", "mptcpctl, ring"} {
			ours, theirs := t.figures[fmt.Sprintf("%s, %d/s", name, rate)], t.figures[fmt.Sprintf("ip, %d/s", rate)]
			if len(ours) == 0 {
				continue
			}
			var ratios []float64
			for i := range ours {
				ratios = append(ratios, ours[i]/theirs[i])
			}
			t.notes = append(t.notes, fmt.Sprintf("%s at %d/s: %.2f of ip (%.2f … %.2f).", name, rate, median(ratios), slices.Min(ratios), slices.Max(ratios)))
		}
	}
	return t, nil
}

// latency returns the median at the rate.
func (c consumer) latency(rate int) (micros float64, err error) {
	n := min(rate, 2000)
	err = within(func() error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		run, err := c.start(w)
		w.Close()
		if err != nil {
			return err
		}
		sent, seen := make([]time.Time, n+1), make([]time.Time, 0, n+1)
		var reading sync.WaitGroup
		reading.Go(func() {
			for lines := bufio.NewScanner(r); lines.Scan(); {
				if strings.Contains(lines.Text(), "LISTENER_CREATED") || strings.Contains(lines.Text(), "UNKNOWN 15") {
					seen = append(seen, time.Now())
				}
			}
		})
		err = relisten(n, rate, func(i int) { sent[i+1] = time.Now() })
		run.rest()
		err = errors.Join(err, run.stop())
		reading.Wait()
		var spans []float64
		for i := 1; i < min(len(seen), len(sent)); i++ { // the first is of the listener itself
			spans = append(spans, float64(seen[i].Sub(sent[i]).Nanoseconds())/1e3)
		}
		if len(spans) < n/2 {
			err = errors.Join(err, fmt.Errorf("%d lines of %d", len(spans), n))
		}
		micros = median(spans)
		return err
	})
	return micros, err
}

// loss is a burst that no reader can follow.
func loss(s *settings) (*table, error) {
	n := 250_000
	if s.big {
		n = 1_000_000
	}
	t := newTable(fmt.Sprintf("A burst of %d events at full speed, output to a pipe", n), "% lost", "ip")
	rounds := min(s.rounds, 3)
	for range rounds {
		for _, c := range append(s.consumers(), s.cramped()...) {
			if c.name == "bare drain" || c.name == "mptcpctl, no coalescing" || c.name == "mptcpctl, coalescing 1ms" {
				continue
			}
			err := within(func() error {
				printed, lost, rate, err := c.printed(n)
				t.add(c.name, 100*float64(n-printed)/float64(n))
				if err == nil && c.ours && printed+lost != n {
					err = fmt.Errorf("the books are wrong: printed %d and lost %d of %d", printed, lost, n)
				}
				t.notes = append(t.notes[:0], fmt.Sprintf("The last burst was made at %.2f million events a second.", rate/1e6))
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return t, nil
}

// printed returns how many of n events the monitor printed, and how many it says
// that were lost.
func (c consumer) printed(n int) (printed, lost int, rate float64, err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, 0, 0, err
	}
	defer r.Close()
	run, err := c.start(w)
	w.Close()
	if err != nil {
		return 0, 0, 0, err
	}
	var reading sync.WaitGroup
	closed := 0
	reading.Go(func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if strings.Contains(lines.Text(), "LISTENER_CREATED") || strings.Contains(lines.Text(), "UNKNOWN 15") {
				printed++
			} else if strings.Contains(lines.Text(), "LISTENER_CLOSED") {
				closed++
			} else if _, number, ok := strings.Cut(lines.Text(), "LOST] lost="); ok {
				k, _ := strconv.Atoi(number) // a wrong one shows in the sum
				lost += k
			}
		}
	})
	begin := time.Now()
	err = relisten(n-1, 0, nil)
	rate = float64(n) / time.Since(begin).Seconds()
	run.rest()
	err = errors.Join(err, run.stop())
	reading.Wait()
	// The end of the listener makes an event too: it is not of the n, but may be
	// the one that was lost.
	return printed, lost - (1 - closed), rate, err
}

// dump lists connections with their subflows.
func dump(s *settings) (*table, error) {
	t := newTable("Lists of connections, both ends on this host", "processor ms", "")
	sizes := []int{1000, 5000}
	if s.big {
		sizes = append(sizes, 9000)
	}
	for _, n := range sizes {
		if err := s.dumpOf(t, n); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// dumpOf measures with n connections.
func (s *settings) dumpOf(t *table, n int) error {
	commands := map[string][]string{
		"mptcpctl connection show":                {s.tool("mptcpctl"), "connection", "show"},
		"mptcpctl connection show --no-processes": {s.tool("mptcpctl"), "connection", "show", "--no-processes"},
		"ss -tinMp": {s.ss, "-tinMp"},
		"ss -tinM":  {s.ss, "-tinM"},
	}
	err := within(func() error {
		release, err := hold(n)
		if err != nil {
			return err
		}
		defer release()
		for range s.rounds {
			for name, args := range commands {
				cpu, _, _, err := once(args...)
				if err != nil {
					return err
				}
				t.add(fmt.Sprintf("%d: %s", n, name), cpu.Seconds()*1e3)
			}
		}
		return nil
	})
	for _, names := range [][2]string{{"mptcpctl connection show", "ss -tinMp"}, {"mptcpctl connection show --no-processes", "ss -tinM"}} {
		ours, theirs := t.figures[fmt.Sprintf("%d: %s", n, names[0])], t.figures[fmt.Sprintf("%d: %s", n, names[1])]
		var ratios []float64
		for i := range min(len(ours), len(theirs)) {
			ratios = append(ratios, ours[i]/theirs[i])
		}
		if len(ratios) > 0 {
			t.notes = append(t.notes, fmt.Sprintf("%d connections: %s takes %.2f of %s (rounds from %.2f to %.2f).", n, names[0], median(ratios), names[1], slices.Min(ratios), slices.Max(ratios)))
		}
	}
	return err
}
