package live_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
)

// world is a namespace and others around it that have names in a directory: all
// that a search from the first one finds, whatever else runs on this machine.
type world struct {
	own    *lab.Namespace
	search hostnet.NamespaceSearch
	names  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{own: labtest.MPTCP(t), names: t.TempDir()}
	proc := t.TempDir()
	self := filepath.Join(proc, "thread-self", "ns")
	if err := os.MkdirAll(self, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(w.own.Path(), filepath.Join(self, "net")); err != nil {
		t.Fatal(err)
	}
	w.search = hostnet.NamespaceSearch{Proc: proc, Named: []string{w.names}}
	return w
}

// dial opens all of the world, its own namespace first.
func (w *world) dial(t *testing.T, events *pathmanager.ListenConfig) *live.Hosts {
	t.Helper()
	var hosts *live.Hosts
	err := w.own.Do(func() (err error) {
		hosts, err = live.DialAll(
			t.Context(),
			&live.HostsConfig{Events: events, Search: w.search, Warn: func(err error) { t.Log(err) }},
		)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hosts.Close() })
	return hosts
}

// name gives a namespace a name.
func (w *world) name(path, name string) error {
	return os.Symlink(path, filepath.Join(w.names, name))
}

// forget takes a name away.
func (w *world) forget(name string) error { return os.Remove(filepath.Join(w.names, name)) }

// number gives a namespace a number, by which one socket hears it.
func (w *world) number(ns *hostnet.Namespace) error {
	return w.own.Do(func() error { return netlink.SetNetNsIdByFd(ns.Fd(), -1) })
}

// newHost is host for goroutines, which cannot fail a test.
func newHost() (*lab.Namespace, error) {
	ns, err := lab.NewNamespace()
	if err != nil {
		return nil, err
	}
	for _, a := range []string{"10.77.1.1/32", "10.77.2.1/32"} {
		err = errors.Join(err, ns.AddAddress("lo", netip.MustParsePrefix(a)))
	}
	err = errors.Join(err, ns.Do(prepare))
	if err != nil {
		return nil, errors.Join(err, ns.Close())
	}
	return ns, nil
}

// life is what is made of one name: namespaces one after the other, each full of
// connections while it lives.
type life struct {
	w    *world
	name string

	ns    *lab.Namespace // the last one
	storm *storm
	gone  bool // it has ended
	made  int
	all   *tally
}

// lead makes and removes namespaces until that time, and leaves one.
func (l *life) lead(until time.Time) error {
	for {
		if err := l.begin(); err != nil {
			return err
		}
		l.all.add(l.storm.rage(1, time.Now().Add(time.Duration(50+rand.IntN(400))*time.Millisecond)))
		if time.Now().After(until) {
			return nil
		}
		if err := l.end(); err != nil {
			return err
		}
	}
}

// begin makes a namespace: one with a number, one that gets it later, or one
// without, which needs a socket of its own to be heard.
func (l *life) begin() (err error) {
	if l.ns, err = newHost(); err != nil {
		return err
	}
	l.made++
	l.gone = false
	kind := rand.IntN(3)
	if kind == 0 {
		err = l.w.number(l.ns.Namespace)
	}
	if err = errors.Join(err, l.w.name(l.ns.Path(), l.name)); err != nil {
		return err
	}
	if kind == 1 {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		if err := l.w.number(l.ns.Namespace); err != nil {
			return err
		}
	}
	l.storm, err = startStorm(l.ns)
	return err
}

// end removes the namespace, sometimes before its connections.
func (l *life) end() error {
	early := rand.IntN(2) == 0
	l.gone = true
	var err error
	if early {
		err = l.w.forget(l.name)
	}
	l.storm.end()
	if !early {
		err = l.w.forget(l.name)
	}
	return errors.Join(err, l.storm.failed, l.ns.Close())
}

// truth is what a dump from within says of the namespace.
func (l *life) truth(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := l.ns.Do(func() error {
		h, err := live.Dial(nil)
		if err != nil {
			return err
		}
		defer h.Close()
		lines = dumped(t, h)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestTrackerAgreesWithTheKernelAfterChurnOfNamespaces is the same for all
// namespaces of a host, which come and go meanwhile, under names that come again.
func TestTrackerAgreesWithTheKernelAfterChurnOfNamespaces(t *testing.T) {
	var all tally
	var lost uint64
	made := 0
	n := rounds(t, labtest.Rounds(2, 10))
	began := time.Now()
	// A machine that does much else may not storm enough in a few rounds.
	done := 0
	more := func() bool {
		return (lost == 0 || made <= done*len(churnedNames) || !all.complete()) && time.Since(began) < patience &&
			!t.Failed()
	}
	for ; done < n || more(); done++ {
		t.Run(fmt.Sprint(done), func(t *testing.T) {
			m, l := churnNamespaces(t, &all)
			made, lost = made+m, lost+l
		})
	}
	t.Logf(
		"%d rounds in %v; namespaces: %d; connections: %v; events lost: %d",
		done,
		time.Since(began).Round(time.Second),
		made,
		&all,
		lost,
	)
	if lost == 0 {
		t.Error("no events were lost: the readers did not stall enough to test that")
	}
	if made <= done*len(churnedNames) {
		t.Errorf("%d namespaces in %d rounds: none came after another", made, done)
	}
	all.check(t)
}

// churnedNames are the names of the namespaces.
var churnedNames = [...]string{"blue", "green", "red"}

// churnNamespaces is one round. It returns how many namespaces were made and how
// many events were lost.
func churnNamespaces(t *testing.T, all *tally) (made int, lost uint64) {
	t.Helper()
	w := newWorld(t)
	hosts := w.dial(t, &pathmanager.ListenConfig{Buffer: smallBuffer})
	tracker := track.New(stalling{hosts}, often())
	stop := run(t, tracker)
	lives := make([]*life, len(churnedNames))
	failed := make([]error, len(lives))
	until := time.Now().Add(1500 * time.Millisecond)
	var tasks sync.WaitGroup
	for i, name := range churnedNames {
		lives[i] = &life{w: w, name: name, all: all}
		tasks.Go(func() { failed[i] = lives[i].lead(until) })
	}
	tasks.Wait()
	if err := errors.Join(failed...); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if t.Failed() {
			t.Logf(
				"namespaces: %v; the tracker has %d ends of connections, error: %v",
				netnsNames(hosts.Views()),
				tracker.State().Len(),
				tracker.State().Err(),
			)
			for _, l := range lives {
				if l.storm == nil || l.gone {
					continue
				}
				t.Logf(
					"%s: the kernel -, the tracker +:\n%s",
					l.name,
					cmp.Diff(l.truth(t), summary(connectionsIn(tracker.State(), l.name))),
				)
			}
		}
	}()
	for _, l := range lives {
		made += l.made
		await.True(t, "the tracker to agree with the kernel of "+l.name, func() bool {
			before := l.truth(t)
			known := summary(connectionsIn(tracker.State(), l.name))
			return slices.Equal(before, known) && slices.Equal(before, l.truth(t))
		})
		all.ends.Add(int64(len(connectionsIn(tracker.State(), l.name))))
	}
	await.True(t, "nothing of what has gone", func() bool {
		return !slices.ContainsFunc(slices.Collect(tracker.State().Connections()), func(c mptcp.Connection) bool {
			return !slices.Contains(churnedNames[:], c.Netns)
		})
	})
	for _, l := range lives {
		if err := l.end(); err != nil {
			t.Error(err)
		}
	}
	await.True(t, "the end of all", func() bool { return tracker.State().Len() == 0 && len(hosts.Views()) == 1 })
	lost = tracker.State().Lost()
	if err := stop(); err != nil {
		t.Error(err)
	}
	return made, lost
}

// connectionsIn returns the connections of a namespace.
func connectionsIn(s *track.State, netns string) []mptcp.Connection {
	return slices.DeleteFunc(slices.Collect(s.Connections()), func(c mptcp.Connection) bool { return c.Netns != netns })
}

func netnsNames(views []source.View) (names []string) {
	for _, v := range views {
		names = append(names, v.Netns())
	}
	return names
}

// busy reads events by namespace, and takes its time for the first.
type busy struct {
	free  chan struct{} // closed: no more
	ended chan error
	stop  context.CancelFunc

	mu      sync.Mutex
	created map[string]map[mptcp.Token]int // how often, by namespace
	lost    uint64
}

func readBusily(t *testing.T, hosts *live.Hosts) *busy {
	b := &busy{free: make(chan struct{}), ended: make(chan error, 1), created: map[string]map[mptcp.Token]int{}}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	go func() { b.ended <- b.run(ctx, hosts) }()
	return b
}

func (b *busy) run(ctx context.Context, hosts *live.Hosts) error {
	for batch, err := range hosts.Batches(ctx) {
		if err != nil {
			return err
		}
		<-b.free
		b.take(batch)
	}
	return nil
}

func (b *busy) take(batch []mptcp.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range batch {
		e := &batch[i]
		b.lost += e.Lost
		if e.Type != mptcp.EventCreated {
			continue
		}
		if b.created[e.Netns] == nil {
			b.created[e.Netns] = map[mptcp.Token]int{}
		}
		b.created[e.Netns][e.Token]++
	}
}

// end reads what has come, and checks that each of n connections, with both ends, came
// once and under that name.
func (b *busy) end(t *testing.T, name string, n int) {
	t.Helper()
	b.stop()
	if err := <-b.ended; err != nil {
		t.Fatal(err)
	}
	if len(b.created) != 1 || len(b.created[name]) != 2*n || b.lost != 0 {
		t.Errorf("%d connections of %d; %d lost", len(b.created[name]), 2*n, b.lost)
	}
	for netns, tokens := range b.created {
		for token, times := range tokens {
			if times != 1 || netns != name {
				t.Errorf("CREATED of %v came %d times in %q", token, times, netns)
			}
		}
	}
}

// connectMany makes connections in the namespace, one after the other, and calls half
// in the middle.
func connectMany(t *testing.T, ns *lab.Namespace, n int, half func()) {
	t.Helper()
	s, err := lab.Serve(t.Context(), ns, netip.MustParseAddrPort("127.0.0.1:7000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range n {
		if i == n/2 {
			half()
		}
		c, err := lab.Connect(t.Context(), ns, s.Addr(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Exchange(10); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
}

// TestNumberGivenLater gives a namespace its number while its events are read: each
// comes once, by whichever socket.
func TestNumberGivenLater(t *testing.T) {
	w := newWorld(t)
	ns := labtest.MPTCP(t)
	if err := w.name(ns.Path(), "blue"); err != nil {
		t.Fatal(err)
	}
	reader := readBusily(t, w.dial(t, &pathmanager.ListenConfig{}))
	close(reader.free)
	const connections = 40
	connectMany(t, ns, connections, func() {
		if err := w.number(ns.Namespace); err != nil {
			t.Fatal(err)
		}
	})
	reader.end(t, "blue", connections)
}

// TestEventsOfANamespaceThatWent has a namespace go while its events wait to be read:
// they come, and under its name.
func TestEventsOfANamespaceThatWent(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{true, false} {
		t.Run(fmt.Sprintf("numbered %v", numbered), func(t *testing.T) {
			w := newWorld(t)
			ns := labtest.MPTCP(t)
			if err := w.name(ns.Path(), "blue"); err != nil {
				t.Fatal(err)
			}
			if numbered {
				if err := w.number(ns.Namespace); err != nil {
					t.Fatal(err)
				}
			}
			hosts := w.dial(t, &pathmanager.ListenConfig{})
			reader := readBusily(t, hosts)
			const connections = 60
			connectMany(t, ns, connections, func() {})
			if err := w.forget("blue"); err != nil {
				t.Fatal(err)
			}
			await.True(t, "the namespace to be left", func() bool { return len(hosts.Views()) == 1 })
			close(reader.free)
			time.Sleep(300 * time.Millisecond)
			reader.end(t, "blue", connections)
		})
	}
}
