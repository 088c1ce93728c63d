package live

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// Facts gathers what doctor judges. What may not be read, and what cannot be read,
// is told in Facts.Unseen and is no error; the error is that of ctx.
func (h *Host) Facts(ctx context.Context, c *gather.Config) (doctor.Facts, error) {
	r := newRound(ctx)
	r.version = h.tool
	g := h.gathering(c, r)
	g.begin(ctx)
	g.look(ctx)
	g.settle(findProcesses(ctx, []*gathering{g}))
	if g.undecided() {
		g.lookAgain(ctx)
		g.settle(findProcesses(ctx, []*gathering{g}))
	}
	g.finish(ctx)
	g.elsewhere(ctx)
	return g.f, ctx.Err()
}

func (h *Host) gathering(c *gather.Config, r *round) *gathering {
	if c == nil {
		c = &gather.Config{}
	}
	return &gathering{h: h, c: c, round: r, f: doctor.Facts{Netns: h.netns, Enter: h.enter, Focus: c.Focus}}
}

// begin reads what does not take a while, and what the counters are at the beginning of
// the window.
func (g *gathering) begin(ctx context.Context) {
	g.kernel()
	g.settings(ctx)
	g.watching = g.watch(ctx)
	if g.before = g.read(); g.watching != nil && !g.watching.last.time.IsZero() {
		g.before = g.watching.last // nothing moves unseen between two windows
	}
	g.h.blackholes.note(g.before)
	for _, read := range [...]func(context.Context){g.network, g.firewall, g.managers, g.outside} {
		if ctx.Err() == nil {
			read(ctx)
		}
	}
}

// look reads what there is at the end of the window, and waits for it where it has not
// come yet.
func (g *gathering) look(ctx context.Context) {
	g.wait(ctx, g.before.time, g.c.Window)
	g.lookNow(ctx)
}

// lookAgain does so a SYN's time later.
func (g *gathering) lookAgain(ctx context.Context) {
	g.wait(ctx, g.looked, synTimeout)
	g.lookNow(ctx)
}

// Facts of one look are of one moment: where something has changed while they were read,
// they are read again, this often and only where that takes no longer than this.
const (
	looksAtOnce = 4
	quickLook   = 50 * time.Millisecond
)

func (g *gathering) lookNow(ctx context.Context) {
	after := g.read()
	g.pathManager(ctx)
	for range looksAtOnce {
		if ctx.Err() != nil {
			return
		}
		endpoints := g.f.Endpoints
		g.count(g.before, after)
		g.sockets(ctx)
		g.looked = time.Now()
		if g.watching != nil {
			g.watching.last = after
		}
		if g.looked.Sub(after.time) > quickLook {
			return
		}
		now := g.read()
		g.pathManager(ctx)
		if now.mptcp.Equal(after.mptcp) && slices.Equal(endpoints, g.f.Endpoints) {
			g.f.Time = now.time // nothing has changed until then: events until then count
			return
		}
		after = now
	}
}

// undecided reports whether to look again.
func (g *gathering) undecided() bool { return g.c.Window > 0 && undecided(g.f.Connections) }

// finish takes the events of the window, and asks for the routes that the rest wants.
func (g *gathering) finish(ctx context.Context) {
	g.events(g.watching)
	if ctx.Err() == nil {
		g.lookups(ctx)
	}
}

// synTimeout is a little more than the time after which the kernel sends the first
// SYN again.
const synTimeout = 1100 * time.Millisecond

// undecided reports whether a connection has a join under way that may come up, hang
// or be refused: that shows when its SYN had to be sent again.
func undecided(connections []mptcp.Connection) bool {
	for i := range connections {
		for j := range connections[i].Subflows {
			s := &connections[i].Subflows[j]
			if !s.Initial && s.State == mptcp.SubflowPending && s.TCP == mptcp.StateSynSent && s.Backoff == 0 &&
				s.Lost == 0 {
				return true
			}
		}
	}
	return false
}

// gathering is one run of Facts.
type gathering struct {
	h     *Host
	c     *gather.Config
	round *round
	f     doctor.Facts

	watching *watch    // nil: nobody listens
	before   reading   // at the beginning of the window
	looked   time.Time // when the sockets were read last
	found    gather.Sockets
	summary  doctor.Namespace // what this namespace is for others

	managed []string // the other namespaces in which NetworkManager runs, as /proc/PID/ns/net says
}

// miss notes what cannot be seen.
func (g *gathering) miss(what string, err error) {
	why := err.Error()
	if errors.Is(err, fs.ErrPermission) {
		why = "needs CAP_NET_ADMIN"
	}
	g.gap(what, why)
}

func (g *gathering) gap(what, why string) {
	if gap := (doctor.Gap{What: what, Why: why}); !slices.Contains(g.f.Unseen, gap) {
		g.f.Unseen = append(g.f.Unseen, gap)
	}
}

// reading is what the counters were at a time.
type reading struct {
	time       time.Time
	mptcp, tcp counters.Values
	base       counters.Values
}

func (g *gathering) read() reading {
	r := reading{time: time.Now()}
	err := g.h.inside(func() (err error) {
		var other, third error
		r.mptcp, err = g.h.counters.MPTCP()
		r.tcp, other = g.h.counters.TCP()
		r.base, third = g.h.counters.TCPBase()
		return errors.Join(err, other, third)
	})
	if err != nil {
		g.miss("counters", err)
	}
	return r
}

// wait lasts until so long after from.
func (g *gathering) wait(ctx context.Context, from time.Time, long time.Duration) {
	rest := time.NewTimer(long - time.Since(from))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

func (g *gathering) count(before, after reading) {
	g.f.Time = after.time
	g.f.MPTCP.Now, g.f.TCP.Now, g.f.TCPBase.Now = after.mptcp, after.tcp, after.base
	g.f.BlackholeSeen = g.h.blackholes.note(after)
	if g.c.Window <= 0 {
		return
	}
	window := after.time.Sub(before.time).Round(time.Millisecond)
	gather.Count(&g.f.MPTCP, after.mptcp, before.mptcp, window)
	gather.Count(&g.f.TCP, after.tcp, before.tcp, window)
	gather.Count(&g.f.TCPBase, after.base, before.base, window)
}

func (g *gathering) pathManager(ctx context.Context) {
	g.f.Endpoints = []mptcp.Endpoint{}
	for e, err := range g.h.pm.Endpoints(ctx) {
		if err != nil {
			g.miss("endpoints", err)
			break
		}
		g.f.Endpoints = append(g.f.Endpoints, e)
	}
	limits, err := g.h.pm.Limits(ctx)
	if err != nil {
		g.miss("limits", err)
		return
	}
	g.f.Limits = &limits
}

func (g *gathering) network(ctx context.Context) {
	network, err := g.h.network.Network(ctx)
	if err != nil {
		g.miss("links, addresses, routes and rules", err)
	}
	g.f.Network = network
}

// firewall reads the packet filter.
func (g *gathering) firewall(ctx context.Context) {
	const what = "the firewall of this host"
	err := g.h.inside(func() (err error) {
		g.f.Firewall, err = firewall.Read(ctx)
		return err
	})
	if err != nil {
		g.f.Firewall = nil
		g.miss(what, err)
		return
	}
	if len(g.f.Firewall.Legacy) > 0 {
		g.gap(
			"the rules of iptables-legacy",
			"doctor does not read them; there are the tables "+strings.Join(g.f.Firewall.Legacy, ", "),
		)
	}
}

func (g *gathering) lookups(ctx context.Context) { g.f.Lookups = g.h.Lookups(ctx, &g.f) }

// Lookups returns the answers to the lookups that the facts want.
func (h *Host) Lookups(ctx context.Context, f *doctor.Facts) []doctor.Lookup {
	return gather.Lookups(f, func(q hostnet.LookupRequest) (hostnet.Route, error) { return h.network.Lookup(ctx, q) })
}

// sockets reads connections, listeners and plain TCP, and who holds them.
func (g *gathering) sockets(ctx context.Context) {
	snapshot := track.Snapshot{Time: g.f.Time, Netns: g.h.netns, Endpoints: g.f.Endpoints}
	if g.f.Sysctls.Raw != nil {
		snapshot.PathManager = g.f.Sysctls.PathManagerName()
	}
	for i := range g.f.Network.Links {
		snapshot.Links = append(snapshot.Links, source.LinkFact(&g.f.Network.Links[i]))
	}
	for i := range g.f.Network.Addresses {
		snapshot.Addresses = append(snapshot.Addresses, source.AddressFact(&g.f.Network.Addresses[i]))
	}
	if g.f.Limits != nil {
		snapshot.Limits = *g.f.Limits
	}
	// In this order: a connection that ends in between has none of its own subflows left
	// over, and what is no longer there is judged by nobody. The other way round it would
	// seem to have lost them all.
	tcp, err := g.h.readTCP(ctx, &snapshot)
	if err != nil {
		g.miss("the subflows of connections, and TCP sockets", err)
	}
	g.f.Marks = map[mptcp.Token]uint32{}
	more := beside{marks: g.f.Marks}
	if err := g.h.readMarked(ctx, &snapshot, &more); err != nil {
		g.miss("connections and listeners", err)
	}
	if err := g.h.readRoutes(ctx, &snapshot, unboundFlows(snapshot.Subflows, g.f.Marks)); err != nil {
		g.miss("routes", err)
	}
	if len(snapshot.Subflows) == 0 {
		if err := g.h.CheckSubflows(ctx); errors.Is(err, fs.ErrPermission) {
			g.gap(doctor.UnseenSubflows, err.Error())
			tcp.Plain = nil // they may be the subflows
		}
	}
	g.found = gather.Sockets{Listeners: more.listeners, TCP: tcp}
	g.found.Bind()
	for i := range more.listeners {
		snapshot.Listeners = append(snapshot.Listeners, more.listeners[i].Local)
	}
	g.found.Connections = g.confirm(ctx, track.Join(snapshot))
}

// The kernel ends a connection some time after its subflows, in a worker of its own: this
// often, and with these pauses, it is asked whether those without a subflow go on.
const (
	confirmTimes = 3
	confirmPause = 5 * time.Millisecond
	confirmMost  = 100 // connections
)

// confirm leaves out connections that were about to end when their sockets were read, and
// notes the state of those that have changed it.
func (g *gathering) confirm(ctx context.Context, list []mptcp.Connection) []mptcp.Connection {
	bare := func(c *mptcp.Connection) bool { return c.State == mptcp.StateEstablished && len(c.Subflows) == 0 }
	var tokens []mptcp.Token
	for i := range list {
		if bare(&list[i]) {
			tokens = append(tokens, list[i].Token)
		}
	}
	for range confirmTimes {
		if len(tokens) == 0 || len(tokens) > confirmMost {
			break
		}
		time.Sleep(confirmPause)
		now, err := g.h.Lookup(ctx, g.h.netns, tokens)
		if err != nil {
			break // they stay as they were seen
		}
		states := map[mptcp.Token]mptcp.SocketState{}
		for i := range now {
			states[now[i].Token] = now[i].State
		}
		list = slices.DeleteFunc(list, func(c mptcp.Connection) bool {
			_, there := states[c.Token]
			return bare(&c) && !there
		})
		for i := range list {
			if bare(&list[i]) {
				list[i].State = states[list[i].Token]
			}
		}
		tokens = slices.DeleteFunc(tokens, func(t mptcp.Token) bool { return states[t] != mptcp.StateEstablished })
	}
	return list
}

// settle takes over what was found, with the processes that hold it. The filter needs
// them.
func (g *gathering) settle(walk owners.ProcessWalk, err error) {
	g.processes(walk, err)
	g.summarize()
	g.found.Tell(&g.f, g.c)
}

// readTCP reads the subflows, and all other TCP sockets, in one dump.
func (h *Host) readTCP(ctx context.Context, s *track.Snapshot) (tcp gather.TCPSockets, err error) {
	for sub, err := range h.diag.Subflows(ctx, &sockdiag.Request{AllTCP: true, States: sockdiag.AllStates}) {
		if err != nil {
			return tcp, err
		}
		if sub.ULP == uapi.ULPMPTCP && sub.State != mptcp.StateListen {
			s.Subflows = append(s.Subflows, source.SubflowRow(&sub))
		}
		tcp.Take(&sub)
	}
	return tcp, nil
}

// findProcesses finds who holds the sockets of all of them, in one walk.
func findProcesses(ctx context.Context, all []*gathering) (owners.ProcessWalk, error) {
	wanted := map[uint32]bool{}
	for _, g := range all {
		g.found.Inodes(wanted)
	}
	if len(wanted) == 0 {
		return owners.ProcessWalk{}, nil
	}
	return all[0].h.walk(ctx, wanted)
}

// processes notes who holds the sockets.
func (g *gathering) processes(walk owners.ProcessWalk, err error) {
	if err != nil {
		g.miss("processes", err)
		return
	}
	inodes, known := map[uint32]bool{}, 0
	g.found.Inodes(inodes)
	for inode := range inodes {
		if len(walk.Owners[inode]) > 0 {
			known++
		}
	}
	if walk.Unreadable > 0 && known < len(inodes) {
		g.gap("the processes of some sockets", "only root can see those of other users")
	}
	g.found.Hold(walk.Owners)
}
