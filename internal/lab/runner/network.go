package runner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/shell"
)

const (
	port     = "12345"
	patience = 20 * time.Second

	// ProcedureNetwork is the network of Red Hat's procedure. It comes without
	// endpoints: the procedure adds them.
	ProcedureNetwork = "redhat"
)

// Network builds a network, connects over it, and shows what comes up.
func (r *Runner) Network(ctx context.Context, topology lab.Topology) error {
	tell := r.narrator()
	l, err := r.open(ctx, topology, tell)
	if err != nil {
		return err
	}
	defer l.Close()
	t := &trial{Runner: r, lab: l, tell: tell}
	defer t.close()
	err = t.try(ctx)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// open builds the network and gives its hosts their limits and
// endpoints.
func (r *Runner) open(ctx context.Context, topology lab.Topology, tell procedure.Narrator) (*lab.Lab, error) {
	if err := enter(); err != nil {
		return nil, err
	}
	l, err := lab.Build(ctx, topology)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, spec := range topology.Hosts {
		for _, command := range spec.Commands() {
			if err := r.command(ctx, l.Host(spec.Name), tell, command...); err != nil {
				return nil, errors.Join(err, l.Close())
			}
		}
	}
	return l, nil
}

// command runs one command of the program in the host, and shows it.
func (r *Runner) command(ctx context.Context, host *lab.Host, tell procedure.Narrator, args ...string) error {
	tell.Command(host.Name, commandLine(args))
	lines, code, err := host.RunProcess(ctx, lab.ToolConfig(r.Program, args...))
	for _, line := range lines {
		tell.Output(host.Name, line)
	}
	if err != nil {
		return fmt.Errorf("lab: %s on %s: %w", commandLine(args), host.Name, err)
	}
	if code != 0 {
		return fmt.Errorf("lab: %s on %s: exit status %d", commandLine(args), host.Name, code)
	}
	return nil
}

// trial is one connection over a network of the lab.
type trial struct {
	*Runner
	lab       *lab.Lab
	tell      *narrator
	processes []*lab.Process
}

func (t *trial) close() {
	for _, p := range t.processes {
		p.Close()
	}
}

// start starts a command of this program in a host, and shows its output as it
// comes.
func (t *trial) start(ctx context.Context, host, terminal string, input bool, args ...string) (*lab.Process, error) {
	t.tell.Command(terminal, commandLine(args))
	config := lab.ToolConfig(t.Program, args...)
	config.Stdin = input
	p, err := t.lab.Host(host).StartProcess(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	t.processes = append(t.processes, p)
	return p, nil
}

func (t *trial) try(ctx context.Context) error {
	paths := t.lab.Topology().Paths
	server := paths[0].Destination
	if _, err := t.start(ctx, lab.ServerHost, lab.ServerHost, false, "nc", "-l", "-k", "-p", port); err != nil {
		return err
	}
	monitor, err := t.start(ctx, lab.ClientHost, "client (monitor)", false, "monitor")
	if err != nil {
		return err
	}
	if err := t.reach(ctx, server); err != nil {
		return err
	}
	err = t.shows(ctx, len(paths))
	t.showMonitor(monitor)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.tell.out, "\n%d paths, %d subflows.\n", len(paths), len(paths))
	return err
}

// reach connects from the client and sends a line, which the server prints. The
// listener may need a moment to come up.
func (t *trial) reach(ctx context.Context, server netip.Addr) error {
	deadline := time.Now().Add(patience)
	for {
		p, err := t.start(ctx, lab.ClientHost, "client (nc)", true, "nc", "-v", server.String(), port)
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
			t.tell.Output("client (nc)", line)
			return nil
		}
		p.Close()
		time.Sleep(20 * time.Millisecond)
	}
}

// shows waits until the connection has that many subflows, and shows it on both
// hosts.
func (t *trial) shows(ctx context.Context, subflows int) error {
	expression := fmt.Sprintf("side client and subflows >= %d and state established", subflows)
	err := t.command(ctx, t.lab.Host(lab.ClientHost), t.tell, "wait", expression, "timeout", "10s")
	for _, host := range []string{lab.ClientHost, lab.ServerHost} {
		err = errors.Join(err, t.command(ctx, t.lab.Host(host), t.tell, "connection", "show"))
	}
	return err
}

// showMonitor ends the monitor and shows what it printed.
func (t *trial) showMonitor(p *lab.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.Signal(syscall.SIGINT); err == nil {
		_, _ = p.Wait(ctx) // Close kills it if it has not ended
	}
	for _, line := range p.Lines() {
		t.tell.Output("client (monitor)", line)
	}
}

// commandLine returns the arguments as a user types them.
func commandLine(args []string) string {
	line := "mptcpctl"
	for _, arg := range args {
		line += " " + shell.Word(arg)
	}
	return line
}
