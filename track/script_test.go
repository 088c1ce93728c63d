package track

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"mptcpctl/mptcp"
	"mptcpctl/track/dump"
)

// TestScripts plays the scripts of testdata on a fake kernel with a fake clock, and
// compares the deltas and the final state. UPDATE=1 writes them anew.
//
// A script is a list of lines. Those that change the kernel:
//
//	conn TOKEN LOCAL REMOTE [key=value…]    a connection that dumps and lookups show
//	sub TOKEN LOCAL REMOTE [key=value…]     a subflow, with ss' flags in flags=
//	end TOKEN                               the kernel forgets connection and subflows
//	endsub TOKEN LOCAL REMOTE               the kernel forgets a subflow
//	orphan TOKEN                            the kernel forgets the connection only
//	hide TOKEN / show TOKEN                 dumps pass the connection over
//	link INDEX NAME up|down, addr ADDR INDEX, noaddr ADDR, endpoint ID ADDR FLAG…,
//	listener ADDR, pathmanager NAME, counter NAME N
//	netns NAME / nonetns NAME               lines after it are about that namespace; it is gone
//	final LOCAL REMOTE key=value…           last figures of a TCP socket that ended
//
// Those that send events and let time pass:
//
//	> NAME TOKEN [LOCAL REMOTE] [key=value…]
//	lost N
//	during-dump LINE                        the line happens while the next dump is read
//	start, wait DURATION, resync            (nothing is applied before start)
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var deltas, state string
			synctest.Test(t, func(t *testing.T) {
				deltas, state = play(t, string(section(archive, "script")))
			})
			want := []txtar.File{{Name: "deltas", Data: []byte(deltas)}, {Name: "state", Data: []byte(state)}}
			if os.Getenv("UPDATE") != "" {
				archive.Files = append(slices.Clip(archive.Files[:1]), want...)
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, w := range want {
				if got := string(section(archive, w.Name)); got != string(w.Data) {
					t.Errorf("%s is\n%s\nbut the script expects\n%s", w.Name, w.Data, got)
				}
			}
		})
	}
}

func section(a *txtar.Archive, name string) []byte {
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// player plays one script.
type player struct {
	t       *testing.T
	kernel  *fakeKernel
	tracker *Tracker
	netns   string
	began   time.Time
	deltas  strings.Builder
	cancel  context.CancelFunc
	done    chan error
}

func play(t *testing.T, script string) (deltas, state string) {
	p := &player{t: t, kernel: newFakeKernel(), began: time.Now(), done: make(chan error, 1)}
	config := &Config{Reconcile: -1, Keep: 10, KeepTime: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	p.cancel = cancel
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case f[0] == "config":
			for _, kv := range f[1:] {
				config.set(t, kv)
			}
		case f[0] == "start":
			p.start(ctx, config)
		case f[0] == "wait":
			d, err := time.ParseDuration(f[1])
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
			synctest.Wait()
		default:
			p.kernel.mu.Lock()
			p.line(f)
			p.kernel.mu.Unlock()
			if p.tracker != nil {
				synctest.Wait()
			}
		}
	}
	time.Sleep(time.Second)
	synctest.Wait()
	state = printState(p.tracker.State(), p.began)
	cancel()
	synctest.Wait()
	if err := <-p.done; err != nil {
		t.Errorf("Run: %v", err)
	}
	return p.deltas.String(), state
}

// set reads one setting of a script.
func (c *Config) set(t *testing.T, setting string) {
	key, value, _ := strings.Cut(setting, "=")
	d, _ := time.ParseDuration(value)
	n, _ := strconv.Atoi(value)
	switch key {
	case "reconcile":
		c.Reconcile = d
	case "sample":
		c.Sample = d
	case "keep":
		c.Keep = n
	case "keeptime":
		c.KeepTime = d
	case "history":
		c.History = n
	case "buffer":
		c.Buffer = n
	default:
		t.Fatalf("unknown setting %q", setting)
	}
}

func (p *player) start(ctx context.Context, c *Config) {
	p.tracker = New(p.kernel, c)
	stream := p.tracker.Deltas(ctx)
	go func() { p.done <- p.tracker.Run(ctx) }()
	go func() {
		for d, err := range stream {
			if err != nil {
				fmt.Fprintf(&p.deltas, "error %v\n", err)
				return
			}
			fmt.Fprintf(&p.deltas, "%s %s\n", since(p.began, time.Now()), printDelta(&d))
		}
	}()
	synctest.Wait()
}

func since(began, at time.Time) string {
	return fmt.Sprintf("+%.2fs", at.Sub(began).Seconds())
}

// line plays one line. The kernel is locked.
func (p *player) line(f []string) {
	n := p.kernel.namespace(p.netns)
	switch f[0] {
	case ">":
		p.kernel.emit(parseEvent(p.t, p.netns, f[1:]))
	case "lost":
		lost, _ := strconv.ParseUint(f[1], 10, 64)
		p.kernel.lost += lost
		p.kernel.emit()
	case "during-dump":
		next := f[1:]
		before := p.kernel.duringDump
		p.kernel.duringDump = func() {
			if before != nil {
				before()
			}
			p.line(next)
		}
	case "netns":
		p.netns = strings.Join(f[1:], "")
		p.kernel.namespace(p.netns)
	case "nonetns":
		delete(p.kernel.namespaces, f[1])
		p.netns = ""
	default:
		n.line(p.t, p, f)
	}
}

// line changes the tables of a namespace.
func (n *fakeNamespace) line(t *testing.T, p *player, f []string) {
	switch f[0] {
	case "conn":
		c := parseConnection(t, f[1:])
		c.Netns = n.facts.Netns
		n.connections[c.Token] = &c
	case "sub":
		r := parseRow(t, f[1:])
		n.forgetSubflow(r.Token, r.Local, r.Remote)
		n.subflows = append(n.subflows, r)
	case "end", "orphan":
		delete(n.connections, token(t, f[1]))
		if f[0] == "end" {
			n.subflows = slices.DeleteFunc(n.subflows, func(r SubflowRow) bool { return r.Token == token(t, f[1]) })
		}
	case "endsub":
		n.forgetSubflow(token(t, f[1]), ap(f[2]), ap(f[3]))
	case "hide":
		n.hidden[token(t, f[1])] = true
	case "show":
		delete(n.hidden, token(t, f[1]))
	case "final":
		r := parseRow(t, append([]string{"0"}, f[1:]...))
		p.kernel.ended <- EndedSubflow{n.facts.Netns, r.Subflow}
	case "counter":
		by, _ := strconv.ParseUint(f[2], 10, 64)
		if n.counters == nil {
			n.counters = Counters{}
		}
		n.counters[f[1]] += by
	default:
		n.factLine(t, f)
	}
}

func (n *fakeNamespace) factLine(t *testing.T, f []string) {
	s := &n.facts
	switch f[0] {
	case "link":
		index, _ := strconv.ParseUint(f[1], 10, 32)
		s.Links = slices.DeleteFunc(slices.Clone(s.Links), func(l LinkFact) bool { return l.Index == uint32(index) })
		s.Links = append(s.Links, LinkFact{Index: uint32(index), Name: f[2], Up: f[3] == "up", Carrier: f[3] == "up"})
	case "addr":
		index, _ := strconv.ParseUint(f[2], 10, 32)
		s.Addresses = append(
			slices.Clip(s.Addresses),
			AddressFact{Addr: netip.MustParseAddr(f[1]), IfIndex: uint32(index)},
		)
	case "noaddr":
		s.Addresses = slices.DeleteFunc(
			slices.Clone(s.Addresses),
			func(a AddressFact) bool { return a.Addr == netip.MustParseAddr(f[1]) },
		)
	case "endpoint":
		id, _ := strconv.ParseUint(f[1], 10, 8)
		e := mptcp.Endpoint{ID: mptcp.AddressID(id), Address: netip.MustParseAddr(f[2])}
		for _, name := range f[3:] {
			flag, ok := mptcp.ParseEndpointFlag(name)
			if !ok {
				t.Fatalf("flag %q", name)
			}
			e.Flags |= flag
		}
		s.Endpoints = append(slices.Clip(s.Endpoints), e)
	case "listener":
		s.Listeners = append(slices.Clip(s.Listeners), ap(f[1]))
	case "pathmanager":
		s.PathManager = f[1]
	default:
		t.Fatalf("unknown line %q", f)
	}
}

func (n *fakeNamespace) forgetSubflow(k mptcp.Token, local, remote netip.AddrPort) {
	n.subflows = slices.DeleteFunc(n.subflows, func(r SubflowRow) bool {
		return r.Token == k && r.Local == local && r.Remote == remote
	})
}

func printDelta(d *Delta) string {
	b := &strings.Builder{}
	fmt.Fprintf(b, "%s %v", d.Name, d.Key)
	if l, ok := d.Event.Local(); ok {
		fmt.Fprintf(b, " %v", l)
	}
	if r, ok := d.Event.Remote(); ok {
		fmt.Fprintf(b, " %v", r)
	}
	if d.Event.Lost > 0 {
		fmt.Fprintf(b, " lost=%d", d.Event.Lost)
	}
	if d.Derived() {
		fmt.Fprintf(b, " %v", d.Confidence)
		if d.Cause != "" {
			fmt.Fprintf(b, " cause=%q", d.Cause)
		}
		for _, e := range d.Evidence {
			fmt.Fprintf(b, "\n    %s", e)
		}
	}
	return b.String()
}

func printState(s *State, began time.Time) string {
	b := &strings.Builder{}
	n := s.Counts()
	fmt.Fprintf(b, "generation %d, events %d, lost %d, connections %d, subflows %d, fallbacks %d\n",
		s.Generation(), s.Events(), s.Lost(), n.Connections, n.Subflows, n.Fallbacks)
	if s.Err() != nil {
		fmt.Fprintf(b, "error %v\n", s.Err())
	}
	all := slices.SortedFunc(
		s.All(),
		func(x, y Tracked) int { return dump.CompareConnections(x.Connection, y.Connection) },
	)
	for _, t := range all {
		fmt.Fprintf(b, "%v ", t.Key)
		printConnection(b, &t.Connection, began)
		printRest(b, s, t.Key)
	}
	for e := range s.Ended() {
		fmt.Fprintf(b, "ended %v %v %s ", e.Key, e.How, since(began, e.At))
		printConnection(b, &e.Connection, began)
		printRest(b, s, e.Key)
	}
	return b.String()
}

func printConnection(b *strings.Builder, c *mptcp.Connection, began time.Time) {
	fmt.Fprintf(b, "%v %v %v %v", c.Side, c.State, c.Local, c.Remote)
	if !c.Since.IsZero() {
		fmt.Fprintf(b, " since %s", since(began, c.Since))
	}
	if c.Fallback {
		fmt.Fprintf(b, " fallback %q", c.FallbackCause)
	}
	b.WriteByte('\n')
	for _, s := range c.Subflows {
		fmt.Fprintf(b, "  %v %v %v ids=%d/%d", s.State, s.Local, s.Remote, s.LocalID, s.RemoteID)
		if s.Initial {
			b.WriteString(" initial")
		}
		if s.Device != "" {
			fmt.Fprintf(b, " dev %s", s.Device)
		}
		if s.BackupRemote {
			b.WriteString(" backup-remote")
		}
		if s.BytesSent > 0 {
			fmt.Fprintf(b, " sent %d share %.2f", s.BytesSent, s.Share)
		}
		b.WriteByte('\n')
	}
}

func printRest(b *strings.Builder, s *State, k mptcp.Key) {
	for _, c := range s.ClosedSubflows(k) {
		fmt.Fprintf(b, "  was %v %v sent %d\n", c.Subflow.Local, c.Subflow.Remote, c.Subflow.BytesSent)
	}
	var names []string
	for _, d := range s.History(k) {
		names = append(names, d.Name)
	}
	if len(names) > 0 {
		fmt.Fprintf(b, "  history %s\n", strings.Join(names, " "))
	}
}
