package live_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/track"
)

// patience is how long a test waits for the kernel before it fails. A tracker lets
// pass fifty times what a dump took before the next: on a machine that does much
// else while a storm rages, that is minutes.
const patience = await.Patience

// host makes a namespace with two addresses on its loopback link, of which the
// second one has an endpoint.
func host(t *testing.T) *lab.Namespace {
	t.Helper()
	ns := labtest.MPTCP(t)
	for _, a := range []string{"10.77.1.1/32", "10.77.2.1/32"} {
		if err := ns.AddAddress("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ns.Do(prepare); err != nil {
		t.Fatal(err)
	}
	return ns
}

// prepare gives the calling thread's namespace its limits and its endpoint.
func prepare() error {
	pm, err := pathmanager.Dial(nil)
	if err != nil {
		return err
	}
	// What lingers is to go while the test looks, on kernels that can be told so.
	_ = os.WriteFile("/proc/sys/net/mptcp/close_timeout", []byte("1"), 0)
	ctx := context.Background()
	return errors.Join(
		pm.SetLimits(ctx, pathmanager.LimitsUpdate{AddAddrAccepted: new(uint32(2)), Subflows: new(uint32(2))}),
		pm.AddEndpoint(ctx, secondEndpoint),
		pm.Close(),
	)
}

func manage(t *testing.T, ns *lab.Namespace, f func(*pathmanager.Client) error) {
	t.Helper()
	err := ns.Do(func() error {
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		return errors.Join(f(pm), pm.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
}

// dial opens a source in the namespace.
func dial(t *testing.T, ns *lab.Namespace, c *live.Config) *live.Host {
	t.Helper()
	var h *live.Host
	err := ns.Do(func() (err error) {
		h, err = live.Dial(c)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// stalling is a source whose reader stops now and then, so that its sockets run
// over.
type stalling struct{ source.Source }

func (s stalling) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for batch, err := range s.Source.Batches(ctx) {
			if !yield(batch, err) {
				return
			}
			if rand.IntN(8) == 0 {
				select {
				case <-time.After(time.Duration(rand.IntN(150)) * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}
}

// roundsEnv says how often each churn test does its work. A hundred times in a row
// is what `make churn` asks for.
const roundsEnv = "CHURN_ROUNDS"

// rounds returns how often a churn test does its work: as often as the variable says,
// else few times.
func rounds(t *testing.T, few int) int {
	t.Helper()
	text, ok := os.LookupEnv(roundsEnv)
	if !ok {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q: want a number of rounds", roundsEnv, text)
	}
	return n
}

// smallBuffer is what a reader gets that is to lose events: room for some tens.
const smallBuffer = 16 << 10

// observer is a tracker at work.
type observer struct {
	name    string
	host    *live.Host
	tracker *track.Tracker
	stop    func() error // returns what Run did
}

// often is the configuration of trackers that compare everything more often than
// usual: what no event tells of they find out only then.
func often() *track.Config { return &track.Config{Reconcile: 200 * time.Millisecond} }

// observe starts a tracker of the namespace.
func observe(t *testing.T, ns *lab.Namespace, name string, events pathmanager.ListenConfig) *observer {
	t.Helper()
	h := dial(t, ns, &live.Config{Events: &events})
	var s source.Source = h
	if events.Buffer == smallBuffer {
		s = stalling{s}
	}
	o := &observer{name: name, host: h, tracker: track.New(s, often())}
	o.stop = run(t, o.tracker)
	return o
}

// run runs the tracker until it is stopped.
func run(t *testing.T, tracker *track.Tracker) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := tracker.Run(ctx)
		if ctx.Err() == nil {
			t.Errorf("the tracker gave up: %v", err)
		}
		ended <- err
	}()
	return func() error {
		cancel()
		return <-ended
	}
}

// TestTrackerAgreesWithTheKernelAfterChurn runs trackers while thousands of
// connections a second come, get subflows and go in every way there is, and readers
// stall until events are lost. At the end each tracker knows what a dump says, and
// nothing else; and it was told of as many lost events as the kernel dropped. In
// every other round one beside it reads all the time.
func TestTrackerAgreesWithTheKernelAfterChurn(t *testing.T) {
	for _, engine := range []pathmanager.Engine{pathmanager.EngineNetlink, pathmanager.EngineRing, pathmanager.EngineAuto} {
		t.Run(engine.String(), func(t *testing.T) {
			if engine != pathmanager.EngineNetlink {
				needRing(t)
			}
			var all tally
			var lost uint64
			n := rounds(t, labtest.Rounds(2, 10))
			began := time.Now()
			// A machine that does much else may not storm enough in a few rounds.
			more := func() bool { return (lost == 0 || !all.complete()) && time.Since(began) < patience && !t.Failed() }
			done := 0
			for ; done < n || more(); done++ {
				t.Run(fmt.Sprint(done), func(t *testing.T) {
					lost += churn(t, pathmanager.ListenConfig{Engine: engine}, done%2 == 1, &all)
				})
			}
			t.Logf(
				"%d rounds in %v; connections: %v; events lost: %d",
				done,
				time.Since(began).Round(time.Second),
				&all,
				lost,
			)
			if lost == 0 {
				t.Error("no events were lost: the readers did not stall enough to test that")
			}
			all.check(t)
		})
	}
}

// churn is one round. It returns how many events were lost.
func churn(t *testing.T, c pathmanager.ListenConfig, beside bool, all *tally) (lost uint64) {
	t.Helper()
	ns := host(t)
	var observers []*observer
	if beside {
		observers = append(observers, observe(t, ns, "the one with a large buffer", c))
	}
	c.Buffer = smallBuffer
	observers = append(observers, observe(t, ns, "the one with a small buffer", c))
	s := newStorm(t, ns)
	all.add(s.rage(4, time.Now().Add(time.Second)))
	for _, o := range observers {
		// Some of those that are open may not be MPTCP's: where a SYN was lost the
		// kernel falls back.
		all.ends.Add(int64(o.awaitAgreement(t)))
		lost += o.tracker.State().Lost()
	}
	s.end()
	for _, o := range observers {
		o.awaitAgreement(t)
		if err := o.stop(); err != nil {
			t.Errorf("%s: %v", o.name, err)
		}
	}
	return lost
}

// awaitAgreement waits until the tracker knows what a dump says, and was told of all
// losses. It returns how many ends of connections that are.
func (o *observer) awaitAgreement(t *testing.T) int {
	t.Helper()
	defer o.explain(t)
	await.True(t, o.name+": the tracker to agree with the kernel", func() bool { return agrees(t, o.host, o.tracker) })
	await.True(t, o.name+": the losses to be told, and all to be read anew", func() bool {
		s := o.tracker.State()
		return s.Lost() == o.host.Listener().Lost() && (s.Lost() == 0 || s.Generation() > 0)
	})
	return o.tracker.State().Len()
}

// explain says how the tracker differs from the kernel where a test has failed.
func (o *observer) explain(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	s := o.tracker.State()
	t.Logf(
		"%s: lost %d of which %d were told, generation %d, error %v; the kernel -, the tracker +:\n%s",
		o.name,
		o.host.Listener().
			Lost(),
		s.Lost(),
		s.Generation(),
		s.Err(),
		cmp.Diff(dumped(t, o.host), summary(slices.Collect(s.Connections()))),
	)
}

// needRing skips the test where the ring engine cannot run: BPF is for the initial
// user namespace, and an ordinary user's tests run in another. There nothing is
// missing; for root a kernel without it is a reason to fail where none may be.
func needRing(t *testing.T) {
	t.Helper()
	users, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(string(users)); !slices.Equal(f, []string{"0", "0", "4294967295"}) {
		t.Skip("the ring engine needs the initial user namespace")
	}
	err = labtest.MPTCP(t).Do(func() error {
		l, err := pathmanager.Listen(&pathmanager.ListenConfig{Engine: pathmanager.EngineRing, Buffer: 1})
		if err != nil {
			return err
		}
		return l.Close()
	})
	if err != nil {
		labtest.Skip(t, "the ring engine: %v", err)
	}
}

// agrees reports whether the tracker and two dumps, before and after, say the same.
func agrees(t *testing.T, h *live.Host, tracker *track.Tracker) bool {
	t.Helper()
	before := dumped(t, h)
	known := summary(slices.Collect(tracker.State().Connections()))
	return slices.Equal(before, known) && slices.Equal(before, dumped(t, h))
}

func dumped(t *testing.T, h *live.Host) []string {
	t.Helper()
	s, err := h.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return summary(track.Join(s))
}

// summary returns what must agree, in an order.
func summary(connections []mptcp.Connection) []string {
	var lines []string
	for _, c := range connections {
		line := fmt.Sprintf("%v %v>%v %v fallback %v", c.Token, c.Local, c.Remote, c.State, c.Fallback)
		var subflows []string
		for _, s := range c.Subflows {
			subflows = append(
				subflows,
				fmt.Sprintf(" [%v>%v %v:%v %v]", s.Local, s.Remote, s.LocalID, s.RemoteID, s.Initial),
			)
		}
		slices.Sort(subflows)
		lines = append(lines, line+fmt.Sprint(subflows))
	}
	slices.Sort(lines)
	return lines
}
