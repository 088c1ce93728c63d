package export

import (
	"bytes"
	"context"
	"iter"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// fixture is a kernel with two connections, whose state a test changes.
type fixture struct {
	mu       sync.Mutex
	snapshot track.Snapshot
	batches  chan []mptcp.Event
}

func (f *fixture) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				return
			case b := <-f.batches:
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

func (f *fixture) Snapshots(context.Context) ([]track.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.snapshot
	s.Time = time.Now()
	return []track.Snapshot{s}, nil
}

func (f *fixture) Lookup(_ context.Context, _ string, tokens []mptcp.Token) (found []mptcp.Connection, err error) {
	for _, c := range f.snapshot.Connections {
		for _, t := range tokens {
			if c.Token == t {
				found = append(found, c)
			}
		}
	}
	return found, nil
}

func (f *fixture) Sample(context.Context, string, []mptcp.Token) ([]track.SubflowRow, error) {
	return f.snapshot.Subflows, nil
}

func (f *fixture) Namespace(context.Context, string) (*track.Snapshot, error) { return nil, nil }

func (f *fixture) Counters(context.Context, string) (track.Counters, error) {
	return track.Counters{
		"MPCapableSYNTX":          7,
		"MPJoinSynAckHMacFailure": 1,
		"MPCurrEstab":             2,
		"Foreign\n\"name\"":       3,
	}, nil
}

func newFixture() *fixture {
	remote := netip.MustParseAddrPort("198.51.100.77:4433")
	local := func(k byte, port uint16) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, k, 1}), port)
	}
	row := func(token mptcp.Token, k byte, port uint16, state mptcp.SubflowState, backup bool) track.SubflowRow {
		return track.SubflowRow{Subflow: mptcp.Subflow{
			Local: local(
				k,
				port,
			), Remote: remote, LocalID: mptcp.AddressID(k), State: state, TCP: mptcp.StateEstablished, FullyEstablished: true, BackupLocal: backup,
			Cookie: uint64(port)*10 + uint64(k), RTTMicros: 3000 * uint32(k+1), BytesSent: 1000, BytesReceived: 500,
		}, Token: token, HasToken: true, Join: k > 0, Requested: true}
	}
	connection := func(token mptcp.Token, port uint16, fallback bool) mptcp.Connection {
		return mptcp.Connection{
			Token:    token,
			Family:   mptcp.FamilyINET,
			Side:     mptcp.SideClient,
			State:    mptcp.StateEstablished,
			Fallback: fallback,
			Local:    local(0, port), Remote: remote, Cookie: uint64(port), Inode: uint32(port),
		}
	}
	return &fixture{batches: make(chan []mptcp.Event, 8), snapshot: track.Snapshot{
		Connections: []mptcp.Connection{connection(0xabcdef01, 51234, false), connection(0xabcdef02, 51235, true)},
		Subflows: []track.SubflowRow{
			row(
				0xabcdef01,
				0,
				51234,
				mptcp.SubflowEstablished,
				false,
			), row(0xabcdef01, 1, 51234, mptcp.SubflowEstablished, true), row(0xabcdef02, 0, 51235, mptcp.SubflowEstablished, false),
		},
		Links: []track.LinkFact{
			{Index: 2, Name: "eth0", Up: true, Carrier: true},
			{Index: 3, Name: "wl\"a\\n0\n", Up: true, Carrier: true},
		},
		Addresses: []track.AddressFact{
			{Addr: netip.MustParseAddr("10.0.0.1"), IfIndex: 2},
			{Addr: netip.MustParseAddr("10.0.1.1"), IfIndex: 3},
		},
		Endpoints: []mptcp.Endpoint{
			{ID: 3, Address: netip.MustParseAddr("10.0.1.1"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup},
		},
		Limits: mptcp.Limits{Subflows: 2, AddAddrAccepted: 1},
	}}
}

// collected runs a collector over the fixture, with some events, and returns the
// text once it has counted them.
func collected(t *testing.T, f *fixture, findings func() ([]Finding, time.Time, uint64)) string {
	t.Helper()
	tracker := track.New(f, nil)
	c := New(
		Config{
			Tracker:   tracker,
			Findings:  findings,
			Engine:    func() string { return "netlink" },
			Version:   "v1.2.3",
			GoVersion: "go1.26",
		},
	)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	deltas := tracker.Deltas(ctx)
	running.Go(func() {
		if err := c.Run(ctx, deltas); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() {
		if err := tracker.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	closed := mptcp.Event{
		Type:        mptcp.EventSubflowClosed,
		Fields:      mptcp.FieldToken | mptcp.FieldFamily | mptcp.FieldSaddr4 | mptcp.FieldDaddr4 | mptcp.FieldSport | mptcp.FieldDport | mptcp.FieldError | mptcp.FieldResetReason,
		Token:       0xabcdef01,
		Family:      mptcp.FamilyINET,
		Source:      netip.MustParseAddr("10.0.1.1"),
		Destination: netip.MustParseAddr("198.51.100.77"),
		Sport:       51299,
		Dport:       4433,
		Error:       104, ResetReason: mptcp.ResetMiddlebox, Time: time.Now(),
	}
	var b bytes.Buffer
	// The collector counts from the moment that it runs.
	for deadline := time.Now().Add(2 * time.Minute); !strings.Contains(b.String(), `event="LISTENER_CLOSED"} `) && time.Now().Before(deadline); {
		f.batches <- []mptcp.Event{{Type: mptcp.EventListenerClosed, Time: time.Now()}}
		time.Sleep(time.Millisecond)
		b.Reset()
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
	}
	f.batches <- []mptcp.Event{closed, {Type: mptcp.EventLost, Lost: 17, Time: time.Now()}}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b.Reset()
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "mptcp_events_lost_total{netns=\"\"} 17\n") &&
			strings.Contains(b.String(), "mptcp_connection_subflows_count{netns=\"\"}") {
			return b.String()
		}
		if time.Now().After(deadline) {
			t.Fatalf("the events were not counted:\n%s", b.String())
		}
	}
}

// derived matches the events that the tracker concludes in its own time, and those
// that collected waits with.
var derived = regexp.MustCompile(`(?m)^mptcp_events_total\{netns="",event="(RESYNC|SF_FAILED|LISTENER_CLOSED)"\} .*\n`)

// variable matches what depends on when the samples were taken.
var variable = regexp.MustCompile(
	`(?m)^(mptcp_exporter_collect_duration_seconds|mptcp_subflow_rtt_seconds_\w+\{.*\}|mptcp_connection_subflows_\w+\{.*\}|mptcp_events_total\{netns="",event="[^"]*"\}|mptcp_device_\w+\{.*\}) .*$`,
)

func TestMetricsAreAsTheyWere(t *testing.T) {
	text := collected(t, newFixture(), func() ([]Finding, time.Time, uint64) {
		return []Finding{{"", "D7", "warn"}, {"", "D7", "warn"}}, time.UnixMilli(1_700_000_000_500), 3
	})
	got := variable.ReplaceAllString(derived.ReplaceAllString(text, ""), "$1 VARIES")
	const golden = "testdata/metrics.txt"
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestLabelsHoldNothingOfAConnection(t *testing.T) {
	text := collected(t, newFixture(), nil)
	for _, private := range []string{"abcdef01", "abcdef02", "51234", "51235", "51299", "4433", "198.51.100.77"} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, private) {
				t.Errorf("%s is in %s", private, line)
			}
		}
	}
}

func TestPromtoolHasNothingToSay(t *testing.T) {
	promtool(t, collected(t, newFixture(), nil), "check", "metrics")
}

func TestAlertRules(t *testing.T) {
	promtool(t, "", "test", "rules", "../../packaging/prometheus/mptcp_test.yml")
	promtool(t, "", "check", "rules", "../../packaging/prometheus/mptcp.yml")
}

func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		labtest.Skip(t, "promtool is not installed (package prometheus)")
	}
	command := exec.CommandContext(t.Context(), "promtool", args...)
	command.Stdin = strings.NewReader(input)
	if out, err := command.CombinedOutput(); err != nil || input != "" && len(out) > 0 {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

func TestCountersOfTheKernelInSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"MPCapableSYNRX":          "mp_capable_synrx",
		"AddAddr":                 "add_addr",
		"MPJoinSynAckHMacFailure": "mp_join_syn_ack_hmac_failure",
		"MPFailTx":                "mp_fail_tx",
		"DataCsumErr":             "data_csum_err",
		"OFOQueueTail":            "ofo_queue_tail",
		"a-b\n":                   "a_b_",
		"":                        "",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestBytesAreCountedFromNowOn gives the fixture more bytes between two samples.
func TestBytesAreCountedFromNowOn(t *testing.T) {
	c := New(Config{})
	state := func(sent uint64, extra ...mptcp.Subflow) *track.State {
		flows := append(
			[]mptcp.Subflow{{Device: "eth0", Cookie: 1, BytesSent: sent, State: mptcp.SubflowEstablished}},
			extra...)
		return track.NewState(time.Now(), []mptcp.Connection{{Token: 1, Subflows: flows}}, track.Snapshot{})
	}
	sent := func() uint64 { return c.sampler.carried[place{"", "eth0"}].sent }
	c.sample(state(1000))
	if sent() != 0 {
		t.Errorf("%v bytes from before the first sample", sent())
	}
	c.sample(state(1500))
	c.sample(state(1500, mptcp.Subflow{Device: "eth0", Cookie: 2, BytesSent: 70}))
	if sent() != 570 {
		t.Errorf("%v bytes, want 500 of the old subflow and all 70 of the new one", sent())
	}
	c.sample(state(1500))
	c.sample(state(1400)) // a counter that runs backwards is no traffic
	if sent() != 570 {
		t.Errorf("%v bytes", sent())
	}
}

// TestSeriesOfNamespacesThatWent: on a host where containers come and go the number of
// series does not grow.
func TestSeriesOfNamespacesThatWent(t *testing.T) {
	c := New(Config{Tracker: track.New(newFixture(), nil)})
	state := func(names ...string) *track.State {
		var connections []mptcp.Connection
		var namespaces []track.Snapshot
		for _, name := range names {
			connections = append(
				connections,
				mptcp.Connection{
					Netns:    name,
					Token:    7,
					Subflows: []mptcp.Subflow{{State: mptcp.SubflowEstablished, RTTMicros: 10, BytesSent: 5}},
				},
			)
			namespaces = append(namespaces, track.Snapshot{Netns: name})
		}
		return track.NewState(time.Now(), connections, namespaces...)
	}
	series := func() (n int, text string) {
		var b []byte
		for _, f := range append(c.book.counts.families(), c.sampler.families()...) {
			n += len(f.series) + len(f.spread)
			b = f.append(b)
		}
		return n, string(b)
	}
	c.sample(state("a", "ab", `a"`))
	three, _ := series()
	for i := range 100 {
		c.count(
			&track.Delta{
				Kind:  track.KindEvent,
				Name:  "CLOSED",
				Event: mptcp.Event{Type: mptcp.EventClosed, Netns: "pid " + strconv.Itoa(i)},
			},
		)
		c.sample(state("ab", "pid "+strconv.Itoa(i)))
	}
	c.sample(state("ab"))
	one, text := series()
	if one == 0 || 3*one != three {
		t.Errorf("%d series of one namespace, %d of three", one, three)
	}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && !strings.Contains(line, `netns="ab"`) {
			t.Errorf("of a namespace that went: %s", line)
		}
	}
}

// TestLabelsHaveNoRawControls: names of namespaces and devices are foreign, and metrics
// are read in terminals too.
func TestLabelsHaveNoRawControls(t *testing.T) {
	f := newFamily(gauge, "x", "help", "netns")
	f.set(1, "a\x1b[31m\u009b\u202e\x7f\n\"\\")
	want := "# HELP x help\n# TYPE x gauge\nx{netns=\"a\\\\x1b[31m\\\\u009b\\\\u202e\\\\x7f\\n\\\"\\\\\"} 1\n"
	if got := string(f.append(nil)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
