package procedure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// patience is how long the procedure waits for any one thing, on a machine that may
// do much else.
const patience = time.Minute

// Narrator is told what happens while [Procedure] runs, so that it can show it. Its
// methods are called one at a time.
type Narrator interface {
	// Step begins a step of the procedure.
	Step(title string)
	// Command shows a command as the user of that terminal types it.
	Command(terminal, command string)
	// Input shows a line that the user types into the command that runs there;
	// "^C" is the key.
	Input(terminal, text string)
	// Output shows a line that a command wrote.
	Output(terminal string, line lab.Line)
}

// Terminals of the procedure, in the words of its steps.
const (
	terminalServer  = "server"
	terminalClient  = "client"
	terminalMonitor = "client (monitor)"
	terminalNC      = "client (nc)"
)

// Run runs Red Hat's procedure for monitoring subflows on the real kernel:
// it builds the topology "redhat" and runs the tool in its hosts as a user would
// type it. tool is the command of the tool with its leading arguments, such as
// {"/proc/self/exe"}.
//
// The report says what the procedure promises and what was seen; a promise that was
// not kept is no error. The error tells that the procedure could not be run at all,
// or that ctx has ended. Either way nothing is left behind.
func Run(ctx context.Context, w Narrator, tool []string) (Report, error) {
	start := time.Now()
	topology, _ := scenario.FindTopology("redhat")
	l, err := lab.Build(ctx, topology)
	if err != nil {
		return Report{}, err
	}
	p := &procedure{
		narrator: &narration{narrator: w},
		tool:     tool,
		server:   l.Host(lab.ServerHost),
		client:   l.Host(lab.ClientHost),
		check:    newChecker(),
	}
	defer l.Close()
	defer p.closeAll() // before the lab: a process keeps its namespace
	if p.check.ifindex, err = p.client.IfIndex("wlp1s0"); err != nil {
		return Report{}, err
	}
	err = p.client.Do(lab.CheckMPTCP)
	if err == nil {
		err = p.run(ctx)
	}
	if broken, ok := errors.AsType[*brokenPromise](err); ok {
		p.check.judge(broken.promise, false, broken.seen)
		err = nil
	}
	report := Report{Token: p.check.token, Promises: p.check.promises, Took: time.Since(start)}
	if ctx.Err() != nil {
		return report, ctx.Err()
	}
	return report, err
}

// brokenPromise ends the procedure where its further steps make no sense.
type brokenPromise struct {
	promise promiseID
	seen    string
}

func (e *brokenPromise) Error() string { return e.seen }

// procedure is one run.
type procedure struct {
	narrator       *narration
	tool           []string
	server, client *lab.Host
	check          *checker

	listener, monitor, nc *lab.Process
	processes             []*lab.Process
}

// run takes the steps.
func (p *procedure) run(ctx context.Context) error {
	for _, step := range []struct {
		title string
		vital bool // without it the rest makes no sense
		do    func(context.Context) error
	}{
		{"Both hosts: allow one additional subflow", true, p.setLimits},
		{"Server: listen on an MPTCP socket, and keep listening", true, p.listen},
		{"Client: which address does the initial subflow take?", false, p.showPaths},
		{"Client, terminal 1: watch the kernel's events", true, p.startMonitor},
		{"Client, terminal 2: connect", true, p.connect},
		{"Client, terminal 2: send a line, which establishes the connection fully", true, p.sendLine},
		{"Client, terminal 3: the connection has one subflow", false, p.showOne},
		{"Client, terminal 3: let the Wi-Fi address carry a subflow", true, p.addEndpoint},
		{"Client, terminal 3: the connection has two subflows", false, p.showTwo},
		{"Client, terminal 3: take the address back", false, p.deleteEndpoint},
		{"Client, terminal 2: end the connection", true, p.end},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.narrator.Step(step.title)
		err := step.do(ctx)
		if broken, ok := errors.AsType[*brokenPromise](err); ok && !step.vital {
			p.check.judge(broken.promise, false, broken.seen)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *procedure) setLimits(ctx context.Context) error {
	for _, host := range []struct {
		*lab.Host
		terminal string
	}{{p.server, terminalServer}, {p.client, terminalClient}} {
		limits := []string{"limits", "set", "add_addr_accepted", "0", "subflows", "1"}
		if _, err := p.command(ctx, host.Host, host.terminal, promiseLimits, limits...); err != nil {
			return err
		}
		lines, err := p.command(ctx, host.Host, host.terminal, promiseLimits, "limits", "show")
		if err != nil {
			return err
		}
		if !p.check.limits(lines) {
			return &brokenPromise{promiseLimits, "on " + host.Name + ": " + strings.Join(lines, " ")}
		}
	}
	p.check.keep(promiseLimits, "add_addr_accepted 0 subflows 1 on both")
	return nil
}

func (p *procedure) listen(ctx context.Context) error {
	var err error
	p.listener, err = p.start(ctx, p.server, terminalServer, false, "nc", "-l", "-k", "-p", procedurePort)
	if err != nil {
		return err
	}
	ready := func() (bool, error) { return p.server.Listens(procedurePort) }
	if err := p.await(ctx, p.listener, ready); err != nil {
		return p.broken(ctx, promiseListener, "no listener on port "+procedurePort, err, p.listener)
	}
	p.check.keep(promiseListener, "listening on port "+procedurePort)
	return nil
}

func (p *procedure) showPaths(ctx context.Context) error {
	lines, err := p.command(ctx, p.client, terminalClient, promisePaths, "paths", "to", "192.0.2.1")
	if err != nil {
		return err
	}
	p.check.paths(lines)
	return nil
}

func (p *procedure) startMonitor(ctx context.Context) error {
	var err error
	p.monitor, err = p.start(ctx, p.client, terminalMonitor, false, "monitor")
	if err != nil {
		return err
	}
	began := time.Now()
	ready := func() (bool, error) { return p.monitor.Subscribed(time.Since(began)) }
	if err := p.await(ctx, p.monitor, ready); err != nil {
		return p.broken(ctx, promiseCreated, "the monitor does not listen to the kernel", err, p.monitor)
	}
	return nil
}

func (p *procedure) connect(ctx context.Context) error {
	var err error
	p.nc, err = p.start(ctx, p.client, terminalNC, true, "nc", "192.0.2.1", procedurePort)
	if err != nil {
		return err
	}
	return p.event(ctx, promiseCreated, true)
}

func (p *procedure) sendLine(ctx context.Context) error {
	const text = "hello over MPTCP"
	p.narrator.Input(terminalNC, text)
	if _, err := p.nc.Write([]byte(text + "\n")); err != nil {
		return p.broken(ctx, promiseEstablished, "nc takes no input", err, p.nc)
	}
	if err := p.event(ctx, promiseEstablished, false); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := p.listener.WaitLine(waiting, func(l lab.Line) bool { return l.Text == text }); err != nil {
		return p.broken(ctx, promiseData, "the server has not printed the line", err, p.listener)
	}
	p.check.keep(promiseData, "the server printed it")
	return nil
}

func (p *procedure) showOne(ctx context.Context) error {
	lines, err := p.command(ctx, p.client, terminalClient, promiseOne, "connection", "show")
	if err == nil {
		p.check.oneSubflow(lines)
	}
	return err
}

func (p *procedure) addEndpoint(ctx context.Context) error {
	add := []string{"endpoint", "add", "dev", "wlp1s0", "192.0.2.3", "subflow"}
	if _, err := p.command(ctx, p.client, terminalClient, promiseJoined, add...); err != nil {
		return err
	}
	lines, err := p.command(ctx, p.client, terminalClient, promiseJoined, "endpoint", "show")
	if err != nil {
		return err
	}
	if !p.check.endpoint(lines) {
		return &brokenPromise{promiseJoined, "no endpoint 192.0.2.3 in: " + strings.Join(lines, " ")}
	}
	return p.event(ctx, promiseJoined, false)
}

func (p *procedure) showTwo(ctx context.Context) error {
	lines, err := p.command(ctx, p.client, terminalClient, promiseTwo, "connection", "show")
	if err == nil {
		p.check.twoSubflows(lines)
	}
	return err
}

func (p *procedure) deleteEndpoint(ctx context.Context) error {
	remove := []string{"endpoint", "delete", "id", p.check.endpointID}
	if _, err := p.command(ctx, p.client, terminalClient, promiseLeft, remove...); err != nil {
		return err
	}
	return p.event(ctx, promiseLeft, false)
}

func (p *procedure) end(ctx context.Context) error {
	p.narrator.Input(terminalNC, "^C")
	if err := p.nc.Signal(os.Interrupt); err != nil {
		return err
	}
	if err := p.event(ctx, promiseClosed, false); err != nil {
		return err
	}
	for _, last := range []struct {
		process  *lab.Process
		terminal string
	}{{p.monitor, terminalMonitor}, {p.listener, terminalServer}} {
		p.narrator.Input(last.terminal, "^C")
		waiting, cancel := context.WithTimeout(ctx, patience)
		err := last.process.Signal(os.Interrupt)
		if err == nil {
			_, err = last.process.Wait(waiting)
		}
		cancel()
		if err != nil {
			return fmt.Errorf("%s does not end with Ctrl+C: %w", last.terminal, err)
		}
	}
	return nil
}

// event waits for the next event of the promised kind and checks its fields. A
// vital one ends the procedure if it does not come as promised.
func (p *procedure) event(ctx context.Context, id promiseID, vital bool) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var event monitorEvent
	_, err := p.monitor.WaitLine(waiting, func(l lab.Line) bool {
		var ok bool
		event, ok = parseMonitorLine(l.Text)
		return ok && l.Stream == lab.Stdout && p.check.wanted(id, event)
	})
	if err != nil {
		return p.broken(ctx, id, "the event has not come", err, p.monitor)
	}
	if !p.check.event(id, event) && vital {
		return &brokenPromise{id, p.check.promises[id].Seen}
	}
	return nil
}

// broken turns a failure to see what was promised into a broken promise, with what
// the process had to say.
func (p *procedure) broken(ctx context.Context, id promiseID, what string, err error, process *lab.Process) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		what += " (the command has ended)"
	}
	for _, line := range process.Lines() {
		if line.Stream == lab.Stderr {
			what += ": " + line.Text
		}
	}
	return &brokenPromise{id, what}
}

// command runs a command of the tool to its end, shows it, and returns its output.
func (p *procedure) command(
	ctx context.Context, host *lab.Host, terminal string, id promiseID, args ...string,
) ([]string, error) {
	process, err := p.start(ctx, host, terminal, false, args...)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	code, err := process.Wait(waiting)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, &brokenPromise{id, strings.Join(args, " ") + " does not end"}
	}
	var stdout, stderr []string
	for _, line := range process.Lines() {
		if line.Stream == lab.Stdout {
			stdout = append(stdout, line.Text)
		} else {
			stderr = append(stderr, line.Text)
		}
	}
	if code != 0 {
		return nil, &brokenPromise{
			id, fmt.Sprintf("%s: exit code %d %s", strings.Join(args, " "), code, strings.Join(stderr, " ")),
		}
	}
	return stdout, nil
}

// start shows and starts a command of the tool.
func (p *procedure) start(
	ctx context.Context, host *lab.Host, terminal string, stdin bool, args ...string,
) (*lab.Process, error) {
	p.narrator.Command(terminal, strings.Join(append([]string{"mptcpctl"}, args...), " "))
	config := lab.ToolConfig(p.tool, args...)
	config.Stdin = stdin
	config.OnLine = func(l lab.Line) { p.narrator.Output(terminal, l) }
	process, err := host.StartProcess(ctx, config)
	if err != nil {
		return nil, err
	}
	p.processes = append(p.processes, process)
	return process, nil
}

func (p *procedure) closeAll() {
	for _, process := range slices.Backward(p.processes) {
		process.Close()
	}
}

// await polls until the process is ready, or has ended.
func (p *procedure) await(ctx context.Context, process *lab.Process, ready func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := ready(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-process.Ended():
			return syscall.ESRCH
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
