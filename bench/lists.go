package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
)

// The programs that list connections, as the tables name them.
const (
	show          = "mptcpctl connection show"
	showPlain     = "mptcpctl connection show --no-processes"
	ssPlain       = "ss -tinM"
	ssProcesses   = "ss -tinMp"
	bareDump      = "bare dump"
	perConnection = 30_000 // bytes that the kernel may take for both ends, generously
)

// listTables are the tables of the section on lists.
type listTables struct{ plain, processes, memory *table }

// lists shows connections with their subflows, with and without the processes
// that own them.
func lists(ctx context.Context, s *settings, r *report) error {
	t := listTables{
		plain:     r.table("processor ms without processes", ssPlain),
		processes: r.table("processor ms with processes", ssProcesses),
		memory:    r.table("MB of memory at most", ssPlain),
	}
	limits := map[int]float64{1000: 0.50, 10_000: 0.30, 50_000: 0.07}
	for _, n := range []int{1000, 10_000, 50_000} {
		rounds := s.rounds
		if n >= 50_000 {
			rounds = min(rounds, 2) // ss -p takes 10 s and more each time
		}
		if err := s.listsOf(ctx, t, n, rounds); err != nil {
			return err
		}
		load := connectionsHeld(n)
		r.goal(goal{
			what: "list of " + load + " with processes: processor time", bound: limits[n], unit: " of " + ssProcesses,
			measured: t.processes.ratio(load, show, ssProcesses),
		})
		r.goal(goal{
			what: "list of " + load + " without processes: processor time", bound: 0.40, unit: " of " + ssPlain,
			measured: t.plain.ratio(load, showPlain, ssPlain),
		})
		r.goal(goal{
			what: "list of " + load + " without processes: the same", bound: 1.25, unit: " of a " + bareDump,
			measured: t.plain.ratio(load, showPlain, bareDump),
		})
	}
	return nil
}

// connectionsHeld names the load of n connections.
func connectionsHeld(n int) string { return fmt.Sprintf("%d connections", n) }

// listsOf measures with n connections.
func (s *settings) listsOf(ctx context.Context, t listTables, n, rounds int) error {
	if free := availableMemory(); free < float64(n)*perConnection {
		return fmt.Errorf(
			"%d connections need %d MB of free memory, there are %.0f", n, n*perConnection>>20, free/(1<<20),
		)
	}
	commands := map[string][]string{
		show:        {s.tool("mptcpctl"), "connection", "show"},
		showPlain:   {s.tool("mptcpctl"), "connection", "show", "--no-processes"},
		ssProcesses: {s.ss, "-tinMp"},
		ssPlain:     {s.ss, "-tinM"},
	}
	if s.has("drain-dump") {
		commands[bareDump] = []string{s.tool("drain-dump")}
	}
	return within(func() error {
		held, err := holdMany(ctx, n)
		if err != nil {
			return err
		}
		for range rounds {
			if err = listAll(ctx, t, connectionsHeld(n), commands); err != nil {
				break
			}
		}
		return errors.Join(err, held.release())
	})
}

// listAll lets each command list once, in random order.
func listAll(ctx context.Context, t listTables, load string, commands map[string][]string) error {
	var names []string
	for name := range commands {
		names = append(names, name)
	}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		c, err := once(ctx, commands[name]...)
		if err != nil {
			return err
		}
		times := t.plain
		if name == show || name == ssProcesses {
			times = t.processes
		}
		times.add(load, name, c.cpu.Seconds()*1e3)
		t.memory.add(load, name, c.memory/1e6)
	}
	return nil
}
