package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/lab"
)

const (
	labPort     = "12345"
	labPatience = 20 * time.Second

	// procedureNetwork is the network of Red Hat's procedure. It comes without
	// endpoints: the procedure adds them.
	procedureNetwork = "redhat"
)

// labRun builds a network, connects over it, and shows what comes up.
func (a *app) labRun(ctx context.Context, inv *grammar.Invocation) error {
	if inv.Has("all") {
		return a.labRunAll(ctx, inv)
	}
	if err := noJSON(inv, "-j lab run --all has one"); err != nil {
		return err
	}
	if len(inv.Args) != 1 {
		return inv.Usage("want one name; `lab list` has them")
	}
	if s, ok := lab.FindScenario(inv.Args[0]); ok {
		return a.labScenario(ctx, inv, s)
	}
	if inv.Args[0] == procedureNetwork {
		inv.Args = nil
		return a.labDemo(ctx, inv)
	}
	narrator := &labNarrator{out: inv.Stdout, colors: palette(inv)}
	l, err := a.openLab(ctx, inv, inv.Args[0], narrator)
	if err != nil {
		return err
	}
	defer l.Close()
	run := &labTrial{lab: l, narrator: narrator}
	defer run.close()
	err = run.try(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// labTrial is one connection over a network of the lab.
type labTrial struct {
	lab       *lab.Lab
	narrator  *labNarrator
	processes []*lab.Process
}

func (r *labTrial) close() {
	for _, p := range r.processes {
		p.Close()
	}
}

// start starts a command of this program in a host, and shows its output as it
// comes.
func (r *labTrial) start(ctx context.Context, host, terminal string, input bool, args ...string) (*lab.Process, error) {
	r.narrator.Command(terminal, commandLine(args))
	config := lab.ToolConfig(ownCommand(), args...)
	config.Stdin = input
	p, err := r.lab.Host(host).StartProcess(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	r.processes = append(r.processes, p)
	return p, nil
}

func (r *labTrial) try(ctx context.Context) error {
	paths := r.lab.Topology().Paths
	server := paths[0].Destination
	if _, err := r.start(ctx, lab.ServerHost, lab.ServerHost, false, "nc", "-l", "-k", "-p", labPort); err != nil {
		return err
	}
	monitor, err := r.start(ctx, lab.ClientHost, "client (monitor)", false, "monitor")
	if err != nil {
		return err
	}
	if err := r.reach(ctx, server); err != nil {
		return err
	}
	err = r.shows(ctx, len(paths))
	r.showMonitor(monitor)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(r.narrator.out, "\n%d paths, %d subflows.\n", len(paths), len(paths))
	return err
}

// reach connects from the client and sends a line, which the server prints. The
// listener may need a moment to come up.
func (r *labTrial) reach(ctx context.Context, server netip.Addr) error {
	deadline := time.Now().Add(labPatience)
	for {
		p, err := r.start(ctx, lab.ClientHost, "client (nc)", true, "nc", "-v", server.String(), labPort)
		if err != nil {
			return err
		}
		if _, err := p.Write([]byte("a line\n")); err != nil {
			return err
		}
		line, err := p.WaitLine(ctx, func(lab.Line) bool { return true })
		if err != nil {
			return fmt.Errorf("lab: nc ended without a word: %w", err)
		}
		if !strings.Contains(line.Text, "refused") || time.Now().After(deadline) {
			r.narrator.Output("client (nc)", line)
			return nil
		}
		p.Close()
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until the connection has that many subflows, and shows it on both
// hosts.
func (r *labTrial) shows(ctx context.Context, subflows int) error {
	expression := fmt.Sprintf("side client and subflows >= %d and state established", subflows)
	err := labCommandLine(ctx, r.lab.Host(lab.ClientHost), r.narrator, "wait", expression, "timeout", "10s")
	for _, host := range []string{lab.ClientHost, lab.ServerHost} {
		err = errors.Join(err, labCommandLine(ctx, r.lab.Host(host), r.narrator, "connection", "show"))
	}
	return err
}

// showMonitor ends the monitor and shows what it printed.
func (r *labTrial) showMonitor(p *lab.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), labPatience)
	defer cancel()
	if err := p.Signal(syscall.SIGINT); err == nil {
		_, _ = p.Wait(ctx) // Close kills it if it has not ended
	}
	for _, line := range p.Lines() {
		r.narrator.Output("client (monitor)", line)
	}
}
