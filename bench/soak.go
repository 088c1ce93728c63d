package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/lab"
)

// soaking is how a soak goes: for how long, beside how many connections.
type soaking struct {
	time        time.Duration
	connections int
}

// One round of a soak: connections that come and go, then a storm, then rest.
const (
	soakRounds      = 60 // of them are wanted; a round takes a minute at most
	soakFewest      = 12 // are enough to see whether something grows
	soakChurn       = 1000
	soakStorm       = 100_000
	soakSlowReaders = 200
)

// soak holds connections, and lets others come and go beside storms of events and readers
// that do not read, with a server and a monitor running. At the end the books of the
// monitor have to be exact, and neither program may have grown.
func (s *settings) soak(ctx context.Context) error {
	if err := raiseLimits(); err != nil {
		return err
	}
	if err := s.cachePrograms(); err != nil {
		return err
	}
	ns, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error {
		held, err := holdMany(ctx, s.soaking.connections)
		if err != nil {
			return err
		}
		unpin()
		err = s.soakBeside(ctx, ns)
		return errors.Join(err, held.release())
	})
}

// soakBeside runs the programs and the load, and tells what came out.
func (s *settings) soakBeside(ctx context.Context, ns *lab.Namespace) error {
	server, address, err := s.startServer(ctx)
	if err != nil {
		return err
	}
	defer server.stop() //nolint:errcheck // it has served by then
	slow, err := readSlowly(address, soakSlowReaders)
	if err != nil {
		return err
	}
	defer slow.close()
	client := newClient(ns, address)
	var events made
	var serving, monitoring growth
	watched := monitor{name: ours, args: []string{s.tool("mptcpctl"), "monitor"}, ours: true}
	tally, err := watched.keep(ctx, true, func(m *running) error {
		unpin()
		began := time.Now()
		pause := min(s.soaking.time/soakRounds, time.Minute)
		for round := 1; round <= soakFewest || time.Since(began) < s.soaking.time; round++ {
			n, err := client.beside(ctx, soakRound)
			events.least, events.most = events.least+n.least, events.most+n.most
			if err != nil {
				return err
			}
			if round%10 == 0 {
				slow.renew()
			}
			serving.add(server)
			monitoring.add(m)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Until(began.Add(time.Duration(round) * pause))):
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Print(s.soakReport(events, tally, client, &serving, &monitoring))
	return errors.Join(events.check(tally), serving.check("serve"), monitoring.check("monitor"), client.check())
}

// made is how many events the load made: at least and at most. The kernel has room for a
// bounded number of tokens, so that beside very many connections some of the others fall
// back, which makes six events like others, or none.
type made struct{ least, most int }

// check returns an error unless what was printed and what was lost are what was made.
func (m made) check(t tally) error {
	if sum := t.printed + t.lost; sum < m.least || sum > m.most {
		return fmt.Errorf("the books are wrong: printed %d and lost %d of %s", t.printed, t.lost, m)
	}
	return nil
}

func (m made) String() string {
	if m.least == m.most {
		return fmt.Sprint(m.most)
	}
	return fmt.Sprintf("%d to %d", m.least, m.most)
}

// soakRound makes the load of one round.
func soakRound(ctx context.Context) (m made, err error) {
	l, port, err := listener()
	if err != nil {
		return m, err
	}
	defer unix.Close(l)
	for range soakChurn {
		p, err := connect(l, port)
		if err != nil {
			return m, err
		}
		if p.mptcp() {
			m.least += 6
		}
		m.most += 6
		p.close()
		if err := ctx.Err(); err != nil {
			return m, err
		}
	}
	const others = 2 + soakStorm + 1 // the listeners' own, and the storm
	return made{m.least + others, m.most + others}, relisten(ctx, soakStorm, 0, nil)
}

// soakReport is the table for the documents.
func (s *settings) soakReport(m made, t tally, c *client, serving, monitoring *growth) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; %d connections held, %s events in storms of %d, %d readers that do not read\n\n",
		s.soaking.time, s.soaking.connections, m, soakStorm, soakSlowReaders)
	line(&b, []string{"", "serve", "monitor"})
	line(&b, []string{"---", "---", "---"})
	for i, part := range []string{"first", "second", "last"} {
		a, z := serving.third(i), monitoring.third(i)
		line(&b, []string{part + " third: most MB, descriptors, threads", a.String(), z.String()})
	}
	fmt.Fprintf(&b, "\nmonitor: %d events printed, %d reported as lost, of %s\n", t.printed, t.lost, m)
	fmt.Fprintf(&b, "requests beside it: %d answered, %d refused as busy, %d failed; the slowest took %s\n",
		c.answered, c.busy, c.failed, c.slowest.Round(time.Millisecond))
	return b.String()
}

// holding is what a process holds.
type holding struct {
	memory      float64 // bytes
	descriptors int
	threads     int
}

func (u holding) String() string {
	return fmt.Sprintf("%.1f, %d, %d", u.memory/1e6, u.descriptors, u.threads)
}

// growth is what a process held from round to round.
type growth struct{ rounds []holding }

// add adds what the process holds now.
func (g *growth) add(r *running) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid))
	if err != nil {
		return // it has ended, which the checks tell
	}
	g.rounds = append(g.rounds, holding{r.resident(), len(open), len(r.tasks())})
}

// third returns the most of each in one third of the time: 0, 1 or 2.
func (g *growth) third(i int) holding {
	n := len(g.rounds)
	var most holding
	for _, u := range g.rounds[i*n/3 : (i+1)*n/3] {
		most.memory = max(most.memory, u.memory)
		most.descriptors = max(most.descriptors, u.descriptors)
		most.threads = max(most.threads, u.threads)
	}
	return most
}

// check returns an error if the process grew from the second third to the last by more
// than a garbage collector's breath.
func (g *growth) check(name string) error {
	if len(g.rounds) < soakFewest {
		return fmt.Errorf("%s ended in round %d", name, len(g.rounds)+1)
	}
	before, after := g.third(1), g.third(2)
	if after.memory > 1.15*before.memory+32e6 || after.descriptors > before.descriptors+16 ||
		after.threads > before.threads+8 {
		return fmt.Errorf("%s grew: most MB, descriptors and threads were %s, then %s", name, before, after)
	}
	return nil
}
