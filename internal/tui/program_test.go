package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/doctor"
	"mptcpctl/internal/await"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// patience is how long a test waits for what must come.
const patience = await.Patience

// fakeSource is a kernel with the connections of the tests.
type fakeSource struct {
	events chan []mptcp.Event
	fail   error // of Snapshots
	panics bool
}

func (f *fakeSource) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case batch, ok := <-f.events:
				if !ok || !yield(batch, nil) {
					return
				}
			}
		}
	}
}

func (f *fakeSource) Snapshots(context.Context) ([]track.Snapshot, error) {
	if f.panics {
		panic("the source is broken")
	}
	s := facts()
	for _, c := range []mptcp.Connection{twoPaths(), pendingJoin()} {
		for _, sub := range c.Subflows {
			s.Subflows = append(
				s.Subflows,
				track.SubflowRow{Subflow: sub, Token: c.Token, HasToken: true, Join: !sub.Initial, Requested: true},
			)
		}
		c.Subflows = nil
		s.Connections = append(s.Connections, c)
	}
	return []track.Snapshot{s}, f.fail
}

func (f *fakeSource) Lookup(ctx context.Context, _ string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	var known []mptcp.Connection
	for _, t := range tokens {
		for _, c := range []mptcp.Connection{twoPaths(), pendingJoin()} {
			if c.Token == t {
				c.Subflows = nil
				known = append(known, c)
			}
		}
	}
	return known, f.fail
}

func (f *fakeSource) Sample(context.Context, string, []mptcp.Token) ([]track.SubflowRow, error) {
	return nil, f.fail
}

func (f *fakeSource) Namespace(context.Context, string) (*track.Snapshot, error) { return nil, nil }

func (f *fakeSource) Counters(context.Context, string) (track.Counters, error) { return nil, nil }

// terminal is a pseudo-terminal with somebody at it.
type terminal struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	before unix.Termios

	mu     sync.Mutex
	output bytes.Buffer
}

// openTerminal opens a pseudo-terminal of 80x24. What is written to it is read
// where reading is set.
func openTerminal(t *testing.T, reading bool) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, master: master, slave: slave, before: settings(t, slave)}
	if reading {
		go term.read()
	}
	return term
}

func settings(t *testing.T, f *os.File) unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return *s
}

func (term *terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := term.master.Read(buffer)
		if err != nil {
			return
		}
		term.mu.Lock()
		term.output.Write(buffer[:n])
		term.mu.Unlock()
	}
}

func (term *terminal) written() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.output.String()
}

// wait waits until the program has written the text.
func (term *terminal) wait(text string) {
	term.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(term.written(), text); {
		if time.Now().After(deadline) {
			term.t.Fatalf("%q was not written, but %q", text, term.written())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// restored checks that the terminal is as it was.
func (term *terminal) restored() {
	term.t.Helper()
	if after := settings(term.t, term.slave); after != term.before {
		term.t.Errorf("the settings of the terminal are %+v, before they were %+v", after, term.before)
	}
}

// left checks that the other screen was left, and that the cursor is shown.
func (term *terminal) left() {
	term.t.Helper()
	for _, mode := range []struct{ on, off string }{{"\x1b[?1049h", "\x1b[?1049l"}, {"\x1b[?25l", "\x1b[?25h"}, {"\x1b[?2004h", "\x1b[?2004l"}} {
		deadline := time.Now().Add(patience)
		for strings.LastIndex(term.written(), mode.on) >= strings.LastIndex(term.written(), mode.off) {
			if time.Now().After(deadline) {
				term.t.Fatalf("%q stands without %q after it: %q", mode.on, mode.off, term.written())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// run runs the view at the terminal.
func (term *terminal) run(ctx context.Context, c *Config) <-chan error {
	c.Input, c.Output = term.slave, term.slave
	done := make(chan error, 1)
	go func() { done <- Run(ctx, c) }()
	return done
}

func waitEnd(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the view does not end")
		return nil
	}
}

// TestTerminalIsRestored ends the view in every way that there is.
func TestTerminalIsRestored(t *testing.T) {
	broken := errors.New("the kernel cannot be read")
	for name, c := range map[string]struct {
		config Config
		end    func(term *terminal, cancel func())
		want   string // of the error; "": none
	}{
		"quit":   {end: func(term *terminal, _ func()) { fmt.Fprint(term.master, "q") }},
		"ctrl+c": {end: func(term *terminal, _ func()) { fmt.Fprint(term.master, "\x03") }},
		"context": {
			end: func(_ *terminal, cancel func()) { cancel() },
		},
		"error": {config: Config{Source: &fakeSource{fail: broken}}, want: broken.Error()},
		"panic of the source": {
			config: Config{Source: &fakeSource{panics: true}}, want: "the source is broken",
		},
		"panic of the doctor": {
			config: Config{Doctor: func(context.Context) (doctor.Report, error) { panic("the doctor is ill") }},
			want:   "the doctor is ill",
		},
		"panic of a change": {
			config: Config{Changes: func([]string) (Change, error) { panic("nothing changes") }},
			end:    func(term *terminal, _ func()) { fmt.Fprint(term.master, "5d") },
			want:   "panic",
		},
	} {
		t.Run(name, func(t *testing.T) {
			term := openTerminal(t, true)
			if c.config.Source == nil {
				c.config.Source = &fakeSource{}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := term.run(ctx, &c.config)
			if c.end != nil {
				term.wait("\x1b[?1049h")
				term.wait("established")
				if settings(t, term.slave) == term.before {
					t.Error("the terminal was not changed at all")
				}
				c.end(term, cancel)
			}
			err := waitEnd(t, done)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the view ended with %v, want %q", err, c.want)
			}
			term.restored()
			term.left()
		})
	}
}

// TestStandingLine ends the view at a terminal that takes nothing.
func TestStandingLine(t *testing.T) {
	term := openTerminal(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := term.run(ctx, &Config{Source: &fakeSource{}, Color: true})
	for deadline := time.Now().Add(patience); settings(t, term.slave) == term.before; {
		if time.Now().After(deadline) {
			t.Fatal("the view does not begin")
		}
		time.Sleep(time.Millisecond)
	}
	// Fill what the line can hold, so that the view hangs in its output.
	fill, err := os.OpenFile(term.slave.Name(), os.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	_ = fill.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	for {
		if _, err := fill.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			break
		}
	}
	cancel()
	if err := waitEnd(t, done); err != nil {
		t.Errorf("the view ended with %v", err)
	}
	term.restored()
}

// TestFollowsTheSize changes the size of the terminal.
func TestFollowsTheSize(t *testing.T) {
	term := openTerminal(t, true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := term.run(ctx, &Config{Source: &fakeSource{}, Screen: Connections})
	term.wait("0000beef")
	if strings.Contains(term.written(), "e ended") {
		t.Fatal("the keys fit into 80 columns: nothing to test")
	}
	if err := unix.IoctlSetWinsize(int(term.master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 30, Col: 120}); err != nil {
		t.Fatal(err)
	}
	// The terminal is not ours, so that the kernel tells nobody. The view may begin
	// to listen for the signal after it has drawn.
	for deadline := time.Now().Add(patience); !strings.Contains(term.written(), "e ended") && time.Now().Before(deadline); {
		if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	term.wait("e ended")
	cancel()
	if err := waitEnd(t, done); err != nil {
		t.Error(err)
	}
	term.restored()
}

// TestFramesAreFew floods the view with events and counts its frames.
func TestFramesAreFew(t *testing.T) {
	source := &fakeSource{events: make(chan []mptcp.Event)}
	p := newPump(&Config{Source: source})
	ctx, cancel := context.WithCancel(t.Context())
	frames := 0
	done := make(chan struct{})
	began := time.Now() // not that of the first frame: after a late one the next may follow at once
	go func() {
		defer close(done)
		p.run(ctx, func(frame) { frames++ })
	}()
	e := mptcp.Event{Type: mptcp.EventEstablished, Fields: mptcp.FieldToken, Token: 0x63c070d2, Time: time.Now()}
	for range 2000 {
		select {
		case source.events <- []mptcp.Event{e, e, e}:
		case <-time.After(patience):
			t.Fatal("events are not taken")
		}
	}
	cancel()
	<-done
	if most := int(time.Since(began)/framePause) + 2; frames > most {
		t.Errorf("%d frames, at most %d may be", frames, most)
	}
}

func TestNotATerminal(t *testing.T) {
	if err := Run(t.Context(), &Config{Source: &fakeSource{}, Input: strings.NewReader(""), Output: &bytes.Buffer{}}); !errors.Is(
		err,
		ErrNotTerminal,
	) {
		t.Errorf("without a terminal: %v", err)
	}
}
