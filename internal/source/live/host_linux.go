package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
	"mptcpctl/track"

	"golang.org/x/sys/unix"
)

// Host is one network namespace of the running kernel, as the thread that called
// Dial was in it. Its methods may be used by several goroutines.
type Host struct {
	netns  string
	enter  string // what Enter returns
	others seenAs // how other namespaces see this one

	pm       *pathmanager.Client
	diag     *sockdiag.Client
	network  *hostnet.Reader
	names    *hostnet.Names
	counters *counters.Reader
	listener *pathmanager.Listener // nil: not subscribed
	home     *hostnet.Namespace    // to read /proc in; nil: all threads are in it

	walk ProcessWalk // finds who holds sockets
	tool *string     // the version of the ip command, nil: asked for each time

	watch      *watch // that Facts keeps from one look to the next, nil: none
	sampled    sampled
	blackholes blackholes
	known      knownSubflows
	watching   atomic.Bool // Ended is being read: keep known
}

// ProcessWalk finds the processes that hold the sockets with these inodes, as
// [owners.WalkProcesses] does. Several goroutines may call it.
type ProcessWalk func(ctx context.Context, inodes map[uint32]bool) (owners.ProcessWalk, error)

// walkProcesses is the walk with the rights of this process.
func walkProcesses(ctx context.Context, inodes map[uint32]bool) (owners.ProcessWalk, error) {
	return owners.WalkProcesses(ctx, "", func(inode uint32) bool { return inodes[inode] })
}

// AskFor has the host ask another for processes from now on: one that may look into them
// where this process may not. It is called before all else.
func (h *Host) AskFor(walk ProcessWalk) { h.walk = walk }

// KeepTools finds out once which programs the host has: this process may not run them later.
func (h *Host) KeepTools(ctx context.Context) { h.tool = new(newRound(ctx).ip(ctx)) }

// Config adjusts a Host. The zero value, and nil, mean the calling thread's
// namespace without its events.
type Config struct {
	Netns string // the name that objects of this namespace get; "" for the reader's own
	Enter string // what Host.Enter returns: how commands get into it; "" where they need not

	// Events subscribes to the path manager's events before Dial returns, with
	// this configuration. It needs CAP_NET_ADMIN in the namespace.
	Events *pathmanager.ListenConfig

	taps   taps
	others seenAs             // how other namespaces see this one
	home   *hostnet.Namespace // the namespace of the calling thread, where it is not the process'
}

// taps are shown the kernel's answers before they are decoded. They may be nil.
type taps struct {
	pathManager func(msg []byte)
	sockets     func(protocol uint32, datagram []byte)
}

// Dial opens the namespace of the calling thread. The error is
// [mptcp.ErrNotSupported] where the kernel has no MPTCP, and
// [io/fs.ErrPermission] where events are asked for without CAP_NET_ADMIN.
func Dial(c *Config) (*Host, error) {
	if c == nil {
		c = &Config{}
	}
	h := &Host{netns: c.Netns, enter: c.Enter, others: c.others, counters: counters.New("")}
	h.home, h.walk = c.home, walkProcesses
	err := h.dial(c)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) dial(c *Config) (err error) {
	if c.Events != nil {
		if h.listener, err = pathmanager.Listen(c.Events); err != nil {
			return err
		}
	}
	if h.pm, err = pathmanager.Dial(&pathmanager.Config{Tap: c.taps.pathManager}); err != nil {
		return err
	}
	if h.diag, err = sockdiag.Dial(&sockdiag.Config{Tap: c.taps.sockets}); err != nil {
		return err
	}
	h.network, err = hostnet.New(nil)
	h.names = hostnet.NewNames(h.network)
	return err
}

// Close closes the sockets. Running streams end with an error.
func (h *Host) Close() error {
	h.endWatch()
	var errs []error
	if h.listener != nil {
		errs = append(errs, h.listener.Close())
	}
	if h.pm != nil {
		errs = append(errs, h.pm.Close())
	}
	if h.diag != nil {
		errs = append(errs, h.diag.Close())
	}
	if h.network != nil {
		errs = append(errs, h.network.Close())
	}
	return errors.Join(errs...)
}

// Listener returns the event listener, or nil where Config.Events was nil.
func (h *Host) Listener() *pathmanager.Listener { return h.listener }

// Batches returns the stream of events. When ctx is done it ends after those that had
// come by then.
func (h *Host) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	if h.listener == nil {
		return func(yield func([]mptcp.Event, error) bool) {
			yield(nil, errors.New("events were not subscribed to"))
		}
	}
	return func(yield func([]mptcp.Event, error) bool) {
		for batch, err := range toTheEnd(ctx, h.listener) {
			h.hear(batch)
			for i := range batch {
				batch[i].Netns = h.netns
			}
			if !yield(batch, err) {
				return
			}
		}
	}
}

// toTheEnd yields a listener's events until ctx is done, and then those that had come
// by that moment.
func toTheEnd(ctx context.Context, l *pathmanager.Listener) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for batch, err := range l.Batches(ctx) {
			if !yield(batch, err) || err != nil {
				return
			}
		}
		for batch, err := range l.Queued() {
			if !yield(batch, err) {
				return
			}
		}
	}
}

// Snapshots dumps the namespace.
func (h *Host) Snapshots(ctx context.Context) ([]track.Snapshot, error) {
	s, err := h.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return []track.Snapshot{s}, nil
}

// Namespace returns what a snapshot says beside the sockets.
func (h *Host) Namespace(ctx context.Context, netns string) (*track.Snapshot, error) {
	if netns != h.netns {
		return nil, nil
	}
	s := &track.Snapshot{Time: time.Now(), Netns: h.netns, Kernel: kernel.Release(), PathManager: h.pathManager()}
	if err := h.readNetwork(ctx, s); err != nil {
		return nil, err
	}
	return s, h.readPathManager(ctx, s)
}

// Snapshot dumps the connections, their subflows and what belongs to them.
func (h *Host) Snapshot(ctx context.Context) (track.Snapshot, error) {
	s := track.Snapshot{Time: time.Now(), Netns: h.netns, Kernel: kernel.Release(), PathManager: h.pathManager()}
	flows := h.routedFlows()
	for _, read := range []func(context.Context, *track.Snapshot) error{
		h.readConnections,
		func(ctx context.Context, s *track.Snapshot) error { return h.readSubflows(ctx, s, flows) },
		h.readListeners, h.readNetwork, h.readPathManager,
		func(ctx context.Context, s *track.Snapshot) error { return h.readRoutes(ctx, s, flows) },
	} {
		if err := read(ctx, &s); err != nil {
			return track.Snapshot{}, err
		}
	}
	return s, nil
}

func (h *Host) readConnections(ctx context.Context, s *track.Snapshot) error {
	return h.readMarked(ctx, s, nil)
}

// beside is what may be read with the connections: in the same dump, because each one walks
// the table of connections of the whole host.
type beside struct {
	marks     map[mptcp.Token]uint32 // of the sockets, where they are told
	listeners []source.Listener
}

// readMarked reads the connections, and what is wanted beside them, nil for nothing.
func (h *Host) readMarked(ctx context.Context, s *track.Snapshot, more *beside) error {
	expected, pairs := h.sockets(), pairing{host: h}
	var request *sockdiag.Request
	if more != nil {
		request = &sockdiag.Request{States: sockdiag.AllStates}
	}
	for c, err := range h.diag.Connections(ctx, request) {
		if err != nil {
			return err
		}
		if c.State == mptcp.StateListen {
			more.listeners = append(more.listeners, listenerOf(h.netns, &c))
			continue
		}
		if n := len(s.Connections); n == cap(s.Connections) {
			s.Connections = slices.Grow(s.Connections, room(n, expected))
		}
		if c.HasMark && more != nil {
			more.marks[c.Info.Token] = c.Mark
		}
		s.Connections = append(s.Connections, source.Connection(h.netns, &c))
		pairs.fill(ctx, &s.Connections[len(s.Connections)-1], &c)
	}
	return nil
}

// room returns for how many connections more a list of so many is given memory. What is
// expected is not believed further than to four times what is there.
func room(listed, expected int) int {
	const first = 256
	return max(1, min(expected-listed, 3*listed+first))
}

// sockets returns how many MPTCP sockets the namespace has, about: a list that grows to
// its size at once costs half the memory of one that grows step by step. Anybody can drive
// the figure up, because the kernel counts one more for each listen() on the same socket
// (mptcp_listen, Linux 6.18).
func (h *Host) sockets() (n int) {
	var protocols []counters.Protocol
	err := h.inside(func() (err error) {
		protocols, err = h.counters.Protocols()
		return err
	})
	if err != nil {
		return 0 // the list grows
	}
	for _, p := range protocols {
		if strings.HasPrefix(p.Name, "MPTCP") {
			n += int(p.Sockets)
		}
	}
	return n
}

func (h *Host) readSubflows(ctx context.Context, s *track.Snapshot, flows *routed) error {
	began := time.Now()
	s.Subflows = slices.Grow(s.Subflows, len(s.Connections)+len(s.Connections)/4)
	for sub, err := range h.diag.Subflows(ctx, nil) {
		if err != nil {
			return err
		}
		if sub.State != mptcp.StateListen {
			s.Subflows = append(s.Subflows, source.SubflowRow(&sub))
			flows.note(&sub)
		}
	}
	h.sampled.dumped(time.Since(began))
	if h.watching.Load() {
		h.known.know(s.Subflows)
	}
	return nil
}

// isOverrun reports whether the kernel only says that it dropped messages.
func isOverrun(err error) bool { return errors.Is(err, unix.ENOBUFS) }

func (h *Host) readListeners(ctx context.Context, s *track.Snapshot) error {
	for l, err := range h.diag.Listeners(ctx) {
		if err != nil {
			return err
		}
		s.Listeners = append(s.Listeners, l.Local)
	}
	return nil
}

func (h *Host) readNetwork(ctx context.Context, s *track.Snapshot) error {
	links, err := h.network.Links(ctx)
	if err != nil {
		return err
	}
	s.Links = make([]track.LinkFact, 0, len(links))
	for i := range links {
		s.Links = append(s.Links, source.LinkFact(&links[i]))
	}
	addresses, err := h.network.Addresses(ctx)
	if err != nil {
		return err
	}
	s.Addresses = make([]track.AddressFact, 0, len(addresses))
	for i := range addresses {
		s.Addresses = append(s.Addresses, source.AddressFact(&addresses[i]))
	}
	return nil
}

func (h *Host) readPathManager(ctx context.Context, s *track.Snapshot) (err error) {
	for e, err := range h.pm.Endpoints(ctx) {
		if err != nil {
			return err
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	s.Limits, err = h.pm.Limits(ctx)
	return err
}

// pathManager returns the path manager of sockets made now, "" where the kernel
// does not tell (before Linux 5.19 there is only the kernel's).
func (h *Host) pathManager() string {
	var name string
	err := h.inside(func() (err error) {
		name, err = h.counters.PathManager()
		return err
	})
	if err != nil {
		return ""
	}
	return name
}

// Lookup asks the kernel for single connections, and returns those that it knows.
func (h *Host) Lookup(ctx context.Context, netns string, tokens []mptcp.Token) ([]mptcp.Connection, error) {
	if netns != h.netns {
		return nil, nil // gone: this source has but one namespace
	}
	var found []mptcp.Connection
	for c, err := range h.diag.ConnectionsByToken(ctx, tokens) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // gone: what the answer leaves out says so
		case err != nil:
			return nil, err
		}
		found = append(found, source.Connection(h.netns, &c))
		if row := &found[len(found)-1]; !source.FillPair(row, &c) {
			row.Pair = mptcp.Pair{} // a dump tells it
		}
	}
	return found, nil
}

// Counters returns the namespace's MPTCP counters.
func (h *Host) Counters(_ context.Context, netns string) (track.Counters, error) {
	if netns != h.netns {
		return nil, nil
	}
	values, err := h.MPTCPCounters()
	if errors.Is(err, mptcp.ErrNotSupported) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("counters: %w", err)
	}
	return source.CounterMap(values), nil
}

// Listeners returns the MPTCP listeners.
func (h *Host) Listeners(ctx context.Context) ([]source.Listener, error) {
	var listeners []source.Listener
	for l, err := range h.diag.Listeners(ctx) {
		if err != nil {
			return listeners, err
		}
		listeners = append(listeners, listenerOf(h.netns, &l))
	}
	return listeners, nil
}

func listenerOf(netns string, l *sockdiag.Connection) source.Listener {
	return source.Listener{Connection: source.Connection(netns, l), Waiting: l.RecvQueue, Backlog: l.SendQueue}
}
