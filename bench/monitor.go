package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// The programs that read the kernel's events, as the tables name them.
const (
	peer    = "ip"
	ours    = "mptcpctl"
	waiting = "mptcpctl --coalesce 1ms"
	prompt  = "mptcpctl --coalesce 0"
	ring    = "mptcpctl --engine ring"
	plain   = "mptcpctl --engine netlink"
	bare    = "bare drain"
)

// monitor is a program that reads the kernel's events.
type monitor struct {
	name string
	args []string
	ours bool // it says how many events it lost
}

// monitors returns those of the named that can run here, in random order.
func (s *settings) monitors(names ...string) []monitor {
	mptcpctl := s.tool("mptcpctl")
	all := []monitor{
		{ours, []string{mptcpctl, "monitor"}, true},
		{waiting, []string{mptcpctl, "monitor", "--coalesce", "1ms"}, true},
		{prompt, []string{mptcpctl, "monitor", "--coalesce", "0"}, true},
		{plain, []string{mptcpctl, "monitor", "--engine", "netlink"}, true},
		{peer, []string{s.ips[0], "mptcp", "monitor"}, false},
	}
	if s.ring {
		all = append(all, monitor{ring, []string{mptcpctl, "monitor", "--engine", "ring"}, true})
	}
	if s.has("drain-events") {
		all = append(all, monitor{bare, []string{s.tool("drain-events")}, false})
	}
	some := slices.DeleteFunc(all, func(m monitor) bool { return !slices.Contains(names, m.name) })
	rand.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	return some
}

// with returns the monitor with more arguments, under a name that has them.
func (m monitor) with(name string, args ...string) monitor {
	m.name, m.args = m.name+" "+name, slices.Concat(m.args, args)
	return m
}

// start starts the monitor with this output on the second processor, and waits
// until it listens. It ends with ctx, and with the calling thread at the latest.
func (m monitor) start(ctx context.Context, out *os.File) (*running, error) {
	before := len(subscribers())
	r := &running{cmd: command(ctx, m.args...)}
	var complaint bytes.Buffer
	r.cmd.Stdout, r.cmd.Stderr = out, &complaint
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(time.Minute); len(subscribers()) <= before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("%s does not listen", m.name), r.stop(), errors.New(complaint.String()))
		}
	}
	for _, task := range r.tasks() {
		pin(task, 1)
	}
	time.Sleep(20 * time.Millisecond) // let it come to rest: what it does to start is not measured
	return r, nil
}

// command returns a program that is to be measured.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.WaitDelay = time.Second
	// Fires when the thread that forks ends: the section's, which outlives what it
	// measures.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// subscribers returns the bytes that wait for each socket of this namespace that is
// in a group of generic netlink.
func subscribers() []int {
	text, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		return nil
	}
	var waiting []int
	for line := range bytes.Lines(text) {
		f := bytes.Fields(line)
		if len(f) > 4 && string(f[1]) == "16" && string(bytes.Trim(f[3], "0")) != "" {
			n, _ := strconv.Atoi(string(f[4])) // the kernel's own figure
			waiting = append(waiting, n)
		}
	}
	return waiting
}

// unread reports whether events wait for a reader in this namespace.
func unread() bool {
	return slices.ContainsFunc(subscribers(), func(n int) bool { return n > 0 })
}
