package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"mptcpctl/internal/thread"

	"golang.org/x/sys/unix"
)

// Stream tells which of a process's outputs a line came from.
type Stream int

// The outputs of a process.
const (
	Stdout Stream = iota
	Stderr
)

// Line is one line that a process wrote.
type Line struct {
	Time   time.Time // when it was read
	Stream Stream
	Text   string // without its end of line
}

// ProcessConfig says what [Namespace.StartProcess] is to start.
type ProcessConfig struct {
	Args []string // the command and its arguments
	Arg0 string   // argv[0] as the process sees it; "": Args[0]
	Env  []string // nil: this process's
	// Confined forbids MPTCP sockets to it, as the seccomp profile of a container does.
	Confined bool
	Stdin    bool // give it an input for Write and CloseInput; else /dev/null
	// OnLine is called for each line, one at a time; it may be nil. It must not call
	// the process's methods.
	OnLine func(Line)
}

// Process is a process in a namespace, with its output line by line. It dies with
// this process, however this one ends.
type Process struct {
	cmd   *exec.Cmd
	stdin *os.File
	ended chan struct{} // closed when it has ended and its output is read
	err   error         // valid when ended is closed

	confined bool
	onLine   func(Line)
	mu       sync.Mutex
	lines    []Line
	next     int           // first line that WaitLine has not looked at
	changed  chan struct{} // closed and replaced with each line
}

// ToolConfig returns the configuration that starts a tool with these arguments.
// tool is its command and leading arguments; "/proc/self/exe" is this very
// program, which then sees its own name.
func ToolConfig(tool []string, args ...string) ProcessConfig {
	c := ProcessConfig{Args: append(append([]string(nil), tool...), args...)}
	if len(tool) > 0 && tool[0] == "/proc/self/exe" {
		c.Arg0 = os.Args[0]
	}
	return c
}

// StartProcess starts a process in the namespace. When ctx ends it is killed.
// Close it in any case.
func (n *Namespace) StartProcess(ctx context.Context, c ProcessConfig) (*Process, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("start process: no command")
	}
	p := &Process{
		cmd:      exec.CommandContext(ctx, c.Args[0], c.Args[1:]...),
		ended:    make(chan struct{}),
		changed:  make(chan struct{}),
		onLine:   c.OnLine,
		confined: c.Confined,
	}
	if c.Arg0 != "" {
		p.cmd.Args[0] = c.Arg0
	}
	p.cmd.Env = c.Env
	// A group of its own: Ctrl+C at the terminal is ours to pass on or not. The
	// death signal fires when the thread that forked ends: run keeps that thread.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	pipes, err := p.openPipes(c.Stdin)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	started := make(chan error, 1)
	go p.run(n, pipes, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Args[0], err)
	}
	return p, nil
}

// processPipes are the ends of a process's pipes: ours, and those that the child
// gets.
type processPipes struct {
	stdout, stderr *os.File
	child          []*os.File
}

func (p *Process) openPipes(stdin bool) (*processPipes, error) {
	pipes := &processPipes{}
	closeAll := func() {
		closeFiles(append(pipes.child, pipes.stdout, pipes.stderr)...)
	}
	for _, ours := range []**os.File{&pipes.stdout, &pipes.stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		*ours = r
		pipes.child = append(pipes.child, w)
	}
	p.cmd.Stdout, p.cmd.Stderr = pipes.child[0], pipes.child[1]
	if stdin {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll()
			return nil, err
		}
		p.stdin = w
		p.cmd.Stdin = r
		pipes.child = append(pipes.child, r)
	}
	return pipes, nil
}

// run starts the process from a thread of its own and stays there until the
// process has ended.
func (p *Process) run(n *Namespace, pipes *processPipes, started chan<- error) {
	// The whole life on one thread, which is never the process's first one: see
	// [thread.Run].
	_ = thread.Run(func() error {
		p.live(n, pipes, started)
		return nil
	})
}

// live starts the process and stays with it to its end.
func (p *Process) live(n *Namespace, pipes *processPipes, started chan<- error) {
	err := n.Enter()
	if err == nil && p.confined {
		err = confine() // of this thread, which ends with the process
	}
	if err == nil {
		err = p.cmd.Start()
	}
	closeFiles(pipes.child...)
	if err != nil {
		closeFiles(pipes.stdout, pipes.stderr, p.stdin)
		started <- err
		return
	}
	var readers sync.WaitGroup
	readers.Go(func() { p.read(pipes.stdout, Stdout) })
	readers.Go(func() { p.read(pipes.stderr, Stderr) })
	started <- nil
	err = p.cmd.Wait()
	// A grandchild may hold the outputs open: what the process wrote is there
	// already, so what is not read soon is not its own.
	late := time.Now().Add(lingering)
	pipes.stdout.SetReadDeadline(late)
	pipes.stderr.SetReadDeadline(late)
	readers.Wait()
	closeFiles(pipes.stdout, pipes.stderr)
	p.err = err
	close(p.ended)
}

// lingering is how long the outputs of a process that has ended are read.
const lingering = time.Second

// read takes a stream's lines until its end. On a machine that does much else its
// time may be over before it had any: what is there then is read all the same.
func (p *Process) read(file *os.File, stream Stream) {
	reader := bufio.NewReader(file)
	line := ""
	for again := true; ; {
		text, err := reader.ReadString('\n')
		line += text
		if again && errors.Is(err, os.ErrDeadlineExceeded) && holdsData(file) {
			again = false
			file.SetReadDeadline(time.Now().Add(lingering))
			continue
		}
		if line != "" {
			p.add(Line{Time: time.Now(), Stream: stream, Text: strings.TrimSuffix(line, "\n")})
			line = ""
		}
		if err != nil {
			return
		}
	}
}

// holdsData reports whether there is something to read in the pipe.
func holdsData(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return err == nil && n > 0
}

func (p *Process) add(line Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines = append(p.lines, line)
	if p.onLine != nil {
		p.onLine(line)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Lines returns all lines so far.
func (p *Process) Lines() []Line {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Line(nil), p.lines...)
}

// WaitLine returns the next line that wanted accepts. It looks at each line once:
// a second call goes on behind the line that the first one returned. It fails
// when ctx ends, and with io.EOF when the process ends without such a line.
func (p *Process) WaitLine(ctx context.Context, wanted func(Line) bool) (Line, error) {
	ended := false
	for {
		p.mu.Lock()
		for p.next < len(p.lines) {
			line := p.lines[p.next]
			p.next++
			if wanted(line) {
				p.mu.Unlock()
				return line, nil
			}
		}
		changed := p.changed
		p.mu.Unlock()
		if ended {
			return Line{}, io.EOF
		}
		select {
		case <-changed:
		case <-p.ended:
			ended = true
		case <-ctx.Done():
			return Line{}, ctx.Err()
		}
	}
}

// Write writes to the process's input.
func (p *Process) Write(b []byte) (int, error) {
	if p.stdin == nil {
		return 0, errors.New("process has no input")
	}
	return p.stdin.Write(b)
}

// CloseInput ends the process's input.
func (p *Process) CloseInput() error {
	if p.stdin == nil {
		return nil
	}
	if err := p.stdin.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Pid returns the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process; none if it has ended.
func (p *Process) Signal(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// Ended is closed when the process has ended and its output is read.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits until the process has ended and returns its exit code: 128+n after
// signal n, as shells do. It fails when ctx ends first.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
		return exitCode(p.cmd, p.err), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Close kills the process if it still runs and waits for its end. It may be
// called more than once.
func (p *Process) Close() error {
	err := p.Signal(syscall.SIGKILL)
	<-p.ended
	return errors.Join(err, p.CloseInput())
}

// RunProcess runs a process to its end and returns its lines and exit code.
func (n *Namespace) RunProcess(ctx context.Context, c ProcessConfig) ([]Line, int, error) {
	p, err := n.StartProcess(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	code, err := p.Wait(ctx)
	err = errors.Join(err, p.Close())
	return p.Lines(), code, err
}

func closeFiles(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
