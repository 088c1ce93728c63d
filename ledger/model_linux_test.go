package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mptcpctl/counters"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// TestModel runs random worlds on the real kernel, and compares what it did with what
// the algorithm predicts. LEDGER_WORLDS is how many (40, in the long form 400), LEDGER_SEED of which series.
func TestModel(t *testing.T) {
	labtest.MPTCP(t)
	if labtest.KernelBefore(t, 6, 18) {
		labtest.Skip(t, "the algorithm is that of Linux 6.18")
	}
	worlds := labtest.Setting(t, "LEDGER_WORLDS", labtest.Rounds(40, 400))
	seed, hosts := labtest.Setting(t, "LEDGER_SEED", 1), labtest.Setting(t, "LEDGER_HOSTS", 4)
	only := labtest.Setting(t, "LEDGER_ONLY", 0) // run that world again and again
	var next, several, skipped, different, unsteady atomic.Int64
	start := time.Now()
	var wg sync.WaitGroup
	for range hosts {
		g := newGround(t)
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > worlds || t.Failed() && os.Getenv("LEDGER_ALL") == "" {
					return
				}
				w := newWorld(uint64(seed), uint64(n))
				if only > 0 {
					w = newWorld(uint64(seed), uint64(only))
				}
				result := g.run(t, w)
				if result.err != nil {
					result = g.again(t, w, result, &unsteady)
				}
				switch {
				case result.err != nil:
					different.Add(1)
					t.Errorf("world %d of series %d: %v\n%s", n, seed, result.err, w)
				case result.most > 1:
					several.Add(1)
				case result.most == 0:
					skipped.Add(1)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	t.Logf(
		"%d worlds in %v (%.1f a second): %d differ, %d differed once and not again, %d may end in several ways, %d "+
			"were too large to explore",
		worlds,
		took.Round(time.Millisecond),
		float64(worlds)/took.Seconds(),
		different.Load(),
		unsteady.Load(),
		several.Load(),
		skipped.Load(),
	)
}

// world is what happens to one connection.
type world struct {
	v6     bool
	denies [2]bool // who forbids joins to its first address
	from   netip.Addr
	to     netip.Addr
	limits [2]mptcp.Limits
	before []command
	during []command
}

type command struct {
	end      int
	verb     string // add, delete, change, flush, limits
	endpoint mptcp.Endpoint
	limits   mptcp.Limits
}

func (c command) String() string {
	host := []string{"client", "server"}[c.end]
	switch c.verb {
	case "limits":
		return fmt.Sprintf("%s: limits set subflows %d add_addr_accepted %d", host, c.limits.Subflows,
			c.limits.AddAddrAccepted)
	case "flush":
		return host + ": endpoint flush"
	case "delete":
		return fmt.Sprintf("%s: endpoint delete id %d", host, c.endpoint.ID)
	case "change":
		return fmt.Sprintf("%s: endpoint change id %d to %v", host, c.endpoint.ID, c.endpoint.Flags)
	}
	return fmt.Sprintf("%s: endpoint add %v id %d port %d %v", host, c.endpoint.Address, c.endpoint.ID,
		c.endpoint.Port, c.endpoint.Flags)
}

func (w *world) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %v -> %v, forbids joins to the first address: client %v, server %v\n", w.from, w.to,
		w.denies[0], w.denies[1])
	for i, l := range w.limits {
		fmt.Fprintf(&b, "  %s: limits subflows %d add_addr_accepted %d\n", []string{"client", "server"}[i],
			l.Subflows, l.AddAddrAccepted)
	}
	for _, c := range w.before {
		fmt.Fprintf(&b, "  before: %v\n", c)
	}
	for _, c := range w.during {
		fmt.Fprintf(&b, "  then: %v\n", c)
	}
	return b.String()
}

const (
	serverPort  = 7000
	addressesOf = 4 // of each family at each end
)

// address is the n-th address of an end; the last of each is not on the host.
func address(end, n int, v6 bool) netip.Addr {
	if v6 {
		return netip.MustParseAddr(fmt.Sprintf("fd77::%d:%d", end+1, n+1))
	}
	return netip.AddrFrom4([4]byte{10, 77, byte(end + 1), byte(n + 1)})
}

// flagSets are the flags that endpoints are given, those that matter most more often.
var flagSets = []mptcp.EndpointFlags{
	mptcp.FlagSubflow, mptcp.FlagSubflow, mptcp.FlagSubflow,
	mptcp.FlagSignal, mptcp.FlagSignal,
	mptcp.FlagSubflow | mptcp.FlagFullmesh, mptcp.FlagSubflow | mptcp.FlagFullmesh,
	mptcp.FlagFullmesh, mptcp.FlagLaminar, mptcp.FlagLaminar | mptcp.FlagSubflow,
	mptcp.FlagSignal | mptcp.FlagSubflow, mptcp.FlagSignal | mptcp.FlagLaminar,
	mptcp.FlagSubflow | mptcp.FlagBackup, mptcp.FlagBackup, 0,
}

func newWorld(seed, n uint64) *world {
	r := rand.New(rand.NewPCG(seed, n))
	w := &world{v6: r.IntN(4) == 0}
	w.from, w.to = address(0, r.IntN(2), w.v6), address(1, r.IntN(2), w.v6)
	for i := range 2 {
		w.denies[i] = r.IntN(6) == 0
		w.limits[i] = randomLimits(r)
		for range r.IntN(5 - i) {
			w.before = append(w.before, randomAdd(r, i, w.v6))
		}
	}
	for range r.IntN(5) {
		w.during = append(w.during, randomCommand(r, w.v6))
	}
	return w
}

func randomLimits(r *rand.Rand) mptcp.Limits {
	return mptcp.Limits{Subflows: uint32(r.IntN(6)), AddAddrAccepted: uint32(r.IntN(4))}
}

func randomAdd(r *rand.Rand, end int, v6 bool) command {
	if r.IntN(8) == 0 {
		v6 = !v6
	}
	e := mptcp.Endpoint{Address: address(end, r.IntN(addressesOf+1), v6), Flags: flagSets[r.IntN(len(flagSets))]}
	if r.IntN(6) == 0 {
		e.ID = mptcp.AddressID(1 + r.IntN(12))
	}
	if e.Flags == mptcp.FlagSignal && r.IntN(4) == 0 {
		e.Port = uint16(7100 + r.IntN(2))
	}
	return command{end: end, verb: "add", endpoint: e}
}

func randomCommand(r *rand.Rand, v6 bool) command {
	c := command{end: r.IntN(2)}
	c.endpoint.ID = mptcp.AddressID(1 + r.IntN(4))
	switch n := r.IntN(12); {
	case n < 4:
		return randomAdd(r, c.end, v6)
	case n < 7:
		c.verb = "delete"
	case n < 8:
		c.verb = "change"
		c.endpoint.Flags = []mptcp.EndpointFlags{0, mptcp.FlagFullmesh, mptcp.FlagBackup}[r.IntN(3)]
	case n < 9:
		c.verb = "flush"
	default:
		c.verb, c.limits = "limits", randomLimits(r)
	}
	return c
}

// ground is two hosts on which worlds are run, one after the other.
type ground struct {
	hosts   [2]*lab.Host
	pm      [2]*pathmanager.Client
	diag    [2]*sockdiag.Client
	servers [2]*lab.Server // on IPv4, on IPv6
	sources [2]map[netip.Addr]netip.Addr
}

func newGround(t *testing.T) *ground {
	t.Helper()
	topology := lab.Topology{Name: "ledger", Hosts: []lab.HostSpec{{Name: lab.ServerHost}, {Name: lab.ClientHost}}}
	ends := [2]lab.End{{Host: lab.ClientHost, Name: "c0"}, {Host: lab.ServerHost, Name: "s0"}}
	for i := range ends {
		for n := range addressesOf {
			ends[i].Addresses = append(ends[i].Addresses, netip.PrefixFrom(address(i, n, false), 16),
				netip.PrefixFrom(address(i, n, true), 64))
		}
	}
	topology.Links = []lab.Link{{A: ends[0], B: ends[1]}}
	l, err := lab.Build(t.Context(), topology)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	g := &ground{hosts: [2]*lab.Host{l.Host(lab.ClientHost), l.Host(lab.ServerHost)}}
	for i, h := range g.hosts {
		if err := h.Do(func() error { return g.open(i) }); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.pm[i].Close(); g.diag[i].Close() })
	}
	for i, at := range []string{"0.0.0.0:7000", "[::]:7001"} {
		if g.servers[i], err = lab.Serve(context.Background(), g.hosts[1].Namespace, netip.MustParseAddrPort(at),
			nil); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.servers[i].Close() })
	}
	return g
}

// open opens what is needed on a host, on a thread in its namespace, and makes the
// peer's absent addresses unreachable.
func (g *ground) open(i int) (err error) {
	if g.pm[i], err = pathmanager.Dial(nil); err != nil {
		return err
	}
	if g.diag[i], err = sockdiag.Dial(nil); err != nil {
		return err
	}
	g.sources[i] = map[netip.Addr]netip.Addr{}
	for _, v6 := range []bool{false, true} {
		absent := address(1-i, addressesOf, v6)
		route := &netlink.Route{Type: unix.RTN_UNREACHABLE, Dst: &net.IPNet{IP: absent.AsSlice(),
			Mask: net.CIDRMask(absent.BitLen(), absent.BitLen())}}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("route to %v: %w", absent, err)
		}
		for n := range addressesOf {
			to := address(1-i, n, v6)
			c, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
			if err != nil {
				return err
			}
			g.sources[i][to] = c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
			c.Close()
		}
	}
	return nil
}

// source is the address that a route to the peer's address leaves from.
func (g *ground) source(i int, to netip.Addr) netip.Addr { return g.sources[i][to] }

func here(i int, a netip.Addr) bool {
	for n := range addressesOf {
		if a == address(i, n, false) || a == address(i, n, true) {
			return true
		}
	}
	return false
}

// outcome is how a world went.
type outcome struct {
	most int // states that were possible at once; 0: too many to explore
	err  error
}

func (g *ground) run(t *testing.T, w *world) outcome {
	ctx := t.Context()
	settings, err := g.prepare(ctx, w)
	if err != nil {
		return outcome{err: err}
	}
	port := uint16(serverPort)
	if w.v6 {
		port++
	}
	to := netip.AddrPortFrom(w.to, port)
	conn, err := g.connect(ctx, netip.AddrPortFrom(w.from, 0), to)
	if err != nil {
		return outcome{err: err}
	}
	defer conn.Abort()
	from := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	possible := []*pair{g.begin(w, settings, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), to)}
	most := 1
	for i := -1; i < len(w.during); i++ {
		if i >= 0 {
			if possible, err = g.apply(ctx, w.during[i], possible); err != nil {
				return outcome{err: fmt.Errorf("after command %d: %w", i+1, err)}
			}
		}
		rest, complete := settle(possible)
		if !complete {
			return outcome{}
		}
		seen, ok, err := g.await(ctx, from.Port(), port, rest)
		if err != nil {
			return outcome{err: err}
		}
		if !ok {
			return outcome{err: fmt.Errorf("after command %d the kernel has\n  %s\nand the algorithm comes to\n  %s",
				i+1, seen, strings.Join(shapes(rest), "\n  "))}
		}
		most = max(most, len(shapes(rest)))
		possible = slices.DeleteFunc(rest, func(p *pair) bool { return p.shape() != seen })
		if err := g.checkAccount(possible); err != nil {
			return outcome{err: fmt.Errorf("after command %d, with %s: %w", i+1, seen, err)}
		}
		if len(possible[0].ends[0].Flows) == 0 {
			break
		}
	}
	return outcome{most: most}
}

// connect makes a connection that speaks MPTCP. Where other programs of the machine have
// filled the kernel's table of tokens, some fall back, and others are made in their place.
func (g *ground) connect(ctx context.Context, from, to netip.AddrPort) (*lab.Conn, error) {
	const most = 20
	for n := 1; ; n++ {
		before, err := g.fallbacks()
		if err != nil {
			return nil, err
		}
		conn, err := lab.Connect(ctx, g.hosts[0].Namespace, to, &lab.ConnectConfig{From: from})
		if err != nil {
			return nil, err
		}
		err = conn.Exchange(1)
		if err == nil {
			var after uint64
			if after, err = g.fallbacks(); err == nil && after == before {
				return conn, nil
			}
		}
		conn.Abort()
		if err != nil {
			return nil, err
		}
		if n == most {
			return nil, fmt.Errorf("%d connections in a row fell back", n)
		}
	}
}

// fallbacks counts the client's connections that fell back in the handshake.
func (g *ground) fallbacks() (n uint64, err error) {
	values, err := g.counters(0)
	for _, name := range []string{"MPCapableFallbackSYNACK", "MPCapableFallbackACK", "MPFallbackTokenInit"} {
		moved, _ := values.Get(name)
		n += moved
	}
	return n, err
}

// counters returns the MPTCP counters of an end.
func (g *ground) counters(end int) (values counters.Values, err error) {
	err = g.hosts[end].Do(func() (err error) {
		values, err = counters.New("").MPTCP()
		return err
	})
	return values, err
}

// again runs a world twice more that differed: what a machine under load does once in
// thousands of worlds, and then not again, is the timing and not the algorithm.
func (g *ground) again(t *testing.T, w *world, first outcome, unsteady *atomic.Int64) outcome {
	for range 2 {
		if second := g.run(t, w); second.err == nil {
			unsteady.Add(1)
			t.Logf("once and not again: %v\n%s", first.err, w)
			return second
		}
	}
	return first
}

// checkAccount holds the account of what is seen of the connection against what the
// algorithm knows of it: the true stage must be among those that the account leaves.
func (g *ground) checkAccount(possible []*pair) error {
	for i := range 2 {
		values, err := g.counters(i)
		if err != nil {
			return err
		}
		for _, p := range possible {
			l := Of(factsOf(p.ends[i], i, values))
			for k := range l.Entries {
				if err := p.ends[i].contradicts(&l.Entries[k], len(possible) == 1); err != nil {
					return fmt.Errorf("%s: %w", []string{"client", "server"}[i], err)
				}
			}
		}
	}
	return nil
}

// factsOf is what a reader sees of the connection.
func factsOf(m *Manager, end int, values counters.Values) Facts {
	c := mptcp.Connection{
		Token: 1, Family: m.Family, State: mptcp.StateEstablished, Side: mptcp.SideClient, BytesReceived: 1,
		Local: m.Local, Remote: m.Remote, PathManager: "kernel",
		Limits: mptcp.ConnectionLimits{
			Subflows: uint8(m.Extra), SubflowsMax: uint8(m.limit()),
			AddAddrSignal: uint8(m.Announced), AddAddrSignalMax: uint8(m.Settings.count(mptcp.FlagSignal)),
			AddAddrAccepted: uint8(m.Accepted), AddAddrAcceptedMax: uint8(m.Settings.Limits.AddAddrAccepted),
			LocalAddrUsed: uint8(m.LocalUsed), LocalAddrMax: uint8(m.Settings.count(mptcp.FlagSubflow)),
		},
	}
	if end == 1 {
		c.Side = mptcp.SideServer
	}
	for _, f := range m.Flows {
		s := mptcp.Subflow{
			Local: f.Local, Remote: f.Remote, LocalID: f.LocalID, RemoteID: f.RemoteID, Initial: f.Initial,
			State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished, FullyEstablished: true,
		}
		if f.Made {
			s.TokenRemote = 2
		}
		c.Subflows = append(c.Subflows, s)
	}
	limits := m.Settings.Limits
	return Facts{
		Release: "6.18", Limits: &limits, Endpoints: m.Settings.Endpoints, Connections: []mptcp.Connection{c},
		Counters: values,
	}
}

// contradicts returns why the entry cannot be true; alone says that the state is the only
// one that fits what was seen.
func (m *Manager) contradicts(e *Entry, alone bool) error {
	if e.Kind == Announce && alone {
		return m.contradictsAnnouncement(e)
	}
	if e.Kind != JoinPeer || !e.Endpoint.Flags.CreatesSubflows() || e.Endpoint.Address == m.Local.Addr() || !alone {
		return nil
	}
	may := func(want func(Reach) bool) bool { return slices.ContainsFunc(e.Reached, want) }
	there := slices.ContainsFunc(m.Flows, func(f Flow) bool {
		return !f.Initial && f.Local.Addr() == e.Endpoint.Address && f.Remote == e.Remote
	})
	switch {
	case there:
		if !e.Is(Up) {
			return fmt.Errorf("a subflow from %v is up, the account says %v", e.Endpoint.Address, e.Reached)
		}
	case !m.taken.has(e.Endpoint.ID):
		if !may(func(r Reach) bool { return r.Stage == NotDue }) {
			return fmt.Errorf("endpoint %v was not used, the account says %v", e.Endpoint, e.Reached)
		}
	case !m.familiesMatch(e.Endpoint.Address, e.Remote.Addr()):
		if !e.May(OtherFamily) {
			return fmt.Errorf("endpoint %v is of another family, the account says %v", e.Endpoint, e.Reached)
		}
	case m.Denied && e.RemoteID == 0:
		if !e.May(PeerForbids) && !e.May(UsedOtherwise) {
			return fmt.Errorf("the peer forbids joins from %v, the account says %v", e.Endpoint, e.Reached)
		}
	case !may(func(r Reach) bool { return r.Stage.Ended() || r.Cause == UsedOtherwise }):
		return fmt.Errorf("endpoint %v was used up, the account says %v", e.Endpoint, e.Reached)
	}
	return nil
}

// contradictsAnnouncement is contradicts for an announcement.
func (m *Manager) contradictsAnnouncement(e *Entry) error {
	announced := slices.Contains(m.sent, netip.AddrPortFrom(e.Endpoint.Address, e.Endpoint.Port))
	waits := slices.ContainsFunc(e.Reached, func(r Reach) bool { return r.Stage == NotDue })
	switch {
	case e.Subflow != nil:
		if !e.Is(Up) {
			return fmt.Errorf("the peer joined at %v, the account says %v", e.Endpoint, e.Reached)
		}
	case announced && !e.May(Announced) && !e.May(OptionTooLong):
		return fmt.Errorf("endpoint %v was announced, the account says %v", e.Endpoint, e.Reached)
	case !announced && !waits:
		return fmt.Errorf("endpoint %v was not announced, the account says %v", e.Endpoint, e.Reached)
	}
	return nil
}

// shapes are the different things that can be seen of the states.
func shapes(states []*pair) []string {
	var list []string
	for _, p := range states {
		if s := p.shape(); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// prepare gives the hosts the settings that the connection is born with.
func (g *ground) prepare(ctx context.Context, w *world) (settings [2]*Settings, err error) {
	for i := range 2 {
		if err := g.pm[i].FlushEndpoints(ctx); err != nil {
			return settings, err
		}
		settings[i] = &Settings{Limits: w.limits[i]}
		if err := g.setLimits(ctx, i, w.limits[i]); err != nil {
			return settings, err
		}
		value := "1"
		if w.denies[i] {
			value = "0"
		}
		if err := g.hosts[i].SetSysctl("net.mptcp.allow_join_initial_addr_port", value); err != nil {
			return settings, err
		}
	}
	for _, c := range w.before {
		refused := g.pm[c.end].AddEndpoint(ctx, c.endpoint)
		if refused == nil || !strings.Contains(refused.Error(), "listen socket") {
			_, ok := settings[c.end].Add(c.endpoint, 8)
			if ok != (refused == nil) {
				return settings, fmt.Errorf("%v: taken by the model: %v, by the kernel: %v", c, ok, refused)
			}
		}
	}
	return settings, nil
}

func (g *ground) setLimits(ctx context.Context, i int, l mptcp.Limits) error {
	return g.pm[i].SetLimits(ctx, pathmanager.LimitsUpdate{AddAddrAccepted: &l.AddAddrAccepted, Subflows: &l.Subflows})
}

// begin is the connection as it is born.
func (g *ground) begin(w *world, settings [2]*Settings, from, to netip.AddrPort) *pair {
	rules := RulesOf("6.18")
	p := &pair{first: true, lonely: true, port: to.Port(), source: g.source, here: here}
	p.ends[0] = Birth(settings[0], rules, from, to)
	p.ends[1] = Birth(settings[1], rules, to, from)
	if w.v6 {
		p.ends[0].Family, p.ends[1].Family = mptcp.FamilyINET6, mptcp.FamilyINET6
	}
	p.ends[0].Denied, p.ends[1].Denied = w.denies[1], w.denies[0]
	p.ends[1].FullyEstablish()
	return p
}

// apply carries a command out on the kernel, and on each state that is possible.
func (g *ground) apply(ctx context.Context, c command, states []*pair) ([]*pair, error) {
	var refused error
	switch c.verb {
	case "add":
		refused = g.pm[c.end].AddEndpoint(ctx, c.endpoint)
	case "delete":
		refused = g.pm[c.end].RemoveEndpoint(ctx, c.endpoint.ID)
	case "change":
		refused = g.pm[c.end].SetEndpointFlags(ctx, pathmanager.Selector{ID: c.endpoint.ID}, c.endpoint.Flags)
	case "flush":
		refused = g.pm[c.end].FlushEndpoints(ctx)
	case "limits":
		refused = g.setLimits(ctx, c.end, c.limits)
	}
	if refused != nil && strings.Contains(refused.Error(), "listen socket") {
		return states, nil
	}
	var next []*pair
	for _, p := range states {
		p = p.clone()
		if p.command(c) == (refused == nil) {
			next = append(next, p)
		}
	}
	if len(next) == 0 {
		return nil, fmt.Errorf("%v: the kernel says %v, the model not", c, refused)
	}
	return next, nil
}

// command carries a command out on the model; false where it refuses.
func (p *pair) command(c command) bool {
	m, n := p.ends[c.end], end{p, c.end}
	switch c.verb {
	case "add":
		e, ok := m.Settings.Add(c.endpoint, m.Rules.MostEndpoints)
		if ok {
			m.EndpointAdded(n, e)
		}
		return ok
	case "delete":
		e, ok := m.Settings.Remove(c.endpoint.ID)
		if ok {
			m.EndpointRemoved(n, e)
		}
		return ok
	case "change":
		e, changed, ok := m.Settings.Change(c.endpoint.ID, c.endpoint.Flags)
		if ok {
			m.EndpointChanged(n, e, changed)
		}
		return ok
	case "flush":
		m.EndpointsFlushed(n, m.Settings.Flush())
	case "limits":
		m.Settings.Limits = c.limits
	}
	return true
}

// await waits until the connection has come to rest in one of the states, or long
// enough. It returns what it saw last.
func (g *ground) await(ctx context.Context, client, server uint16, rest []*pair) (seen string, ok bool, err error) {
	expected := shapes(rest)
	last := ""
	for deadline := time.Now().Add(4 * time.Second); ; {
		now, settled, err := g.observe(ctx, client, server)
		if err != nil {
			return "", false, err
		}
		ok := settled && slices.Contains(expected, now)
		if ok && now == last {
			return now, true, nil
		}
		if time.Now().After(deadline) {
			return now, false, nil
		}
		last = now
		time.Sleep(4 * time.Millisecond)
	}
}

// observe returns what the kernel shows of the connection at both ends, and whether no
// subflow is half open or half closed.
func (g *ground) observe(ctx context.Context, client, server uint16) (string, bool, error) {
	var ends [2]string
	settled := true
	for i := range 2 {
		r := sockdiag.Request{LocalPort: client}
		if i == 1 {
			r = sockdiag.Request{RemotePort: client, LocalPort: server}
		}
		shape, calm, err := observeEnd(ctx, g.diag[i], &r)
		if err != nil {
			return "", false, err
		}
		ends[i] = shape
		settled = settled && calm
	}
	return ends[0] + "  ||  " + ends[1], settled, nil
}

// observeEnd takes the connection with subflows, if there are several with these ports: an
// aborted one of an earlier world may still linger without.
func observeEnd(ctx context.Context, diag *sockdiag.Client, r *sockdiag.Request) (shape string, calm bool, err error) {
	shape = "no connection"
	for c, err := range diag.Connections(ctx, r) {
		if err != nil {
			return "", false, err
		}
		if c.State != mptcp.StateEstablished {
			continue
		}
		flows, quiet, err := flowsOf(ctx, diag, c.Info.Token)
		if err != nil {
			return "", false, err
		}
		if len(flows) > 0 || shape == "no connection" {
			i := c.Info
			calm = quiet
			shape = shapeOf(int(i.Subflows), int(i.LocalAddrUsed), int(i.AddAddrSignal), int(i.AddAddrAccepted), flows)
		}
	}
	return shape, calm, nil
}

// flowsOf returns the subflows that are up, and whether the others have ended.
func flowsOf(ctx context.Context, diag *sockdiag.Client, token mptcp.Token) (flows []string, calm bool, err error) {
	calm = true
	for s, err := range diag.Subflows(ctx, &sockdiag.Request{}) {
		if err != nil {
			return nil, false, err
		}
		if !s.HasMPTCP || s.MPTCP.TokenLocal != token {
			continue
		}
		switch s.State {
		case mptcp.StateEstablished:
			flows = append(flows, shapeOfFlow(s.Local.Addr().Unmap(), s.Remote.Addr().Unmap(),
				s.MPTCP.LocalID, s.MPTCP.RemoteID))
		case mptcp.StateSynSent, mptcp.StateSynRecv, mptcp.StateCloseWait:
			calm = false
		}
	}
	return flows, calm, nil
}
