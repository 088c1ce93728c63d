package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"time"

	"mptcpctl/internal/lab"
)

// startup compares whole processes that ask one small thing, and the time until a
// monitor prints its first line.
func startup(ctx context.Context, s *settings, r *report) error {
	commands := r.table("ms of processor", peer)
	if err := s.oneShots(ctx, commands); err != nil {
		return err
	}
	first := r.table("ms from the start of a monitor to its first line", peer)
	if err := s.firstLines(ctx, first); err != nil {
		return err
	}
	peers := append([]string{peer}, slices.Sorted(maps.Keys(s.others()))...)
	for _, p := range peers {
		for _, load := range []string{"limits", "endpoints"} {
			r.goal(
				goal{
					what:     "one command (" + load + "): processor time",
					bound:    1.4,
					unit:     " of " + p,
					measured: commands.ratio(load, ours, p),
				},
			)
		}
	}
	for _, load := range []string{"limits", "endpoints"} {
		r.goal(
			goal{
				what:     "one command (" + load + "): processor time",
				bound:    1.5,
				unit:     " of " + empty,
				measured: commands.ratio(load, ours, empty),
			},
		)
	}
	for _, p := range peers {
		r.goal(
			goal{
				what:     "start of a monitor to its first line",
				bound:    1.3,
				unit:     " of " + p,
				measured: first.ratio("", ours, p),
			},
		)
	}
	return nil
}

// startsARound is how often a program starts in a round: one start takes a few
// milliseconds, and the next may take half as long again.
const startsARound = 20

// The other programs of ours that are measured: the one with the terminal view and the
// web server, and one that does nothing.
const (
	whole = "mptcpctl-full"
	empty = "an empty Go program"
)

// program is a command to compare.
type program struct {
	load, name string
	args       []string
}

// others returns the ips behind the first, with names of their own.
func (s *settings) others() map[string]string {
	names := map[string]string{}
	for _, ip := range s.ips[1:] {
		names[fmt.Sprintf("%s (%s)", peer, version(ip))] = ip
	}
	return names
}

// oneShots adds the processor time of commands that print what an empty namespace
// has.
func (s *settings) oneShots(ctx context.Context, t *table) error {
	var all []program
	for load, words := range map[string][]string{"limits": {"limits", "show"}, "endpoints": {"endpoint", "show"}} {
		all = append(all, program{load, ours, append([]string{s.tool("mptcpctl")}, words...)},
			program{load, whole, append([]string{s.tool("mptcpctl-full")}, words...)},
			program{load, empty, []string{s.tool("empty")}},
			program{load, peer, append([]string{s.ips[0], "mptcp"}, words...)})
		for name, ip := range s.others() {
			all = append(all, program{load, name, append([]string{ip, "mptcp"}, words...)})
		}
	}
	all = append(all, program{"nothing", "true", []string{"/bin/true"}})
	return within(func() error {
		for range s.rounds * startsARound {
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, p := range all {
				c, err := once(ctx, p.args...)
				if err != nil {
					return err
				}
				t.add(p.load, p.name, c.cpu.Seconds()*1e3)
			}
		}
		return nil
	})
}

// firstLines adds the time from the start of each monitor to its first line, while
// an event comes every 50 microseconds.
func (s *settings) firstLines(ctx context.Context, t *table) error {
	ns, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	raining, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- ns.Do(func() error {
			pin(0, 0)
			return relisten(raining, 1<<40, 20_000, nil)
		})
	}()
	err = ns.Do(func() error {
		pin(0, 1)
		for range s.rounds * startsARound {
			all := s.monitors(ours, peer, ring)
			for name, ip := range s.others() {
				all = append(all, monitor{name: name, args: []string{ip, "mptcp", "monitor"}})
			}
			rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			for _, m := range all {
				took, err := m.firstLine(ctx)
				if err != nil {
					return fmt.Errorf("%s: %w", m.name, err)
				}
				t.add("", m.name, took.Seconds()*1e3)
			}
		}
		return nil
	})
	stop()
	if rained := <-ended; !errors.Is(rained, context.Canceled) {
		err = errors.Join(err, rained)
	}
	return err
}

// firstLine starts the monitor and ends it as soon as it has printed something.
func (m monitor) firstLine(ctx context.Context) (time.Duration, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if err := r.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	cmd := command(ctx, m.args...)
	cmd.Stdout = w
	began := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, err
	}
	_, err = r.Read(make([]byte, 1))
	took := time.Since(began)
	err = errors.Join(err, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait() // killed
	return took, err
}
