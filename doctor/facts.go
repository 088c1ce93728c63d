package doctor

import (
	"net/netip"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// Facts are what is known of one network namespace. Whoever gathers them leaves
// zero what cannot be read, and says so in Unseen. They hold no pointer into
// anything live, and go through JSON unharmed.
type Facts struct {
	Time  time.Time
	Netns string // name of the namespace, "" for the reader's own
	// Enter is what mptcpctl's -n takes to mean the namespace: its name in /run/netns,
	// the id of a process in it, or a path. It is "" where commands need not enter
	// it, and where no way leads into it.
	Enter string

	// Focus is the filter that the user asked with; connections, flows and plain
	// listeners hold only what it lets through then.
	Focus string

	Kernel  Kernel
	Sysctls counters.Sysctls
	IPv4    map[string]counters.IPv4Conf // by device, "all" included; nil: unknown
	MPTCP   Counted
	TCP     Counted // TcpExt
	TCPBase Counted // Tcp, of which OutRsts matters

	Limits    *mptcp.Limits    // nil: unknown
	Endpoints []mptcp.Endpoint // of the in-kernel path manager
	// Subscribers is how many sockets take part in the path manager's event
	// group, those of this program and of other watchers not counted: the daemons
	// of a userspace path manager are among them. Nil: unknown.
	Subscribers *int

	Connections []mptcp.Connection // with subflows
	// Marks are the marks of the connections' sockets (SO_MARK). The kernel tells them to
	// the holder of CAP_NET_ADMIN: the mark of a connection that is not there is unknown.
	Marks          map[mptcp.Token]uint32
	Listeners      []Listener // MPTCP
	PlainListeners []Listener // TCP
	PlainFlows     []Flow     // TCP, without MPTCP
	Blackholed     []Flow     // TCP with the mptcp ULP and no token: MPTCP was switched off for them

	Network hostnet.Network // nil lists: unknown
	Lookups []Lookup        // answers to [Facts.LookupsWanted]

	Events      []mptcp.Event // recent ones, oldest first
	EventsSince time.Time     // since when no event was missed, but those counted in EventsLost; zero: nobody listened
	EventsLost  uint64
	EarlierThan []mptcp.Token // connections that were there when listening began

	Managers []mptcp.Process // those that manage endpoints: NetworkManager, mptcpd
	// MaybeManagers are those of which it cannot be seen whether they run in this
	// network namespace.
	MaybeManagers []mptcp.Process
	Elsewhere     []Namespace // what the other namespaces hold, if ElsewhereWanted says so
	Firewall      *Firewall   // nil: unknown
	Probes        []Probe     // own connects, where the user asked for them
	IPRoute2      string      // version of the ip command, such as "6.1.0"; "" where there is none

	// BlackholeSeen is when an observer saw the counter Blackhole move, at the
	// latest; zero: not seen.
	BlackholeSeen time.Time

	Unseen []Gap

	supposed bool // the connections are those of Suppose
}

// Kernel is what the running kernel can do.
type Kernel struct {
	Release string // as uname says
	// SocketTried says that an MPTCP socket was opened for a trial; SocketError is
	// what it gave, 0 for success.
	SocketTried bool
	SocketError syscall.Errno
	// Events says whether the generic netlink family mptcp_pm has its group of
	// events; nil: unknown.
	Events *bool
}

// Counted is a table of counters, read twice.
type Counted struct {
	Now    counters.Values // totals of the namespace
	Moved  counters.Values // what was counted within Window before
	Window time.Duration   // 0: read only once
}

// Listener is a listening socket.
type Listener struct {
	Local     netip.AddrPort
	Inode     uint32 // 0 for the kernel's own, of an endpoint with a port
	Processes []mptcp.Process
	// Waiting is how many connections wait to be accepted, of as many as may.
	Waiting, MostWaiting uint32
}

// Flow is a TCP socket that is no subflow.
type Flow struct {
	Local, Remote netip.AddrPort
	State         mptcp.SocketState
	Processes     []mptcp.Process
}

// Lookup is the kernel's answer to a route lookup.
type Lookup struct {
	Request hostnet.LookupRequest
	Route   hostnet.Route
	Error   string // "" for an answer
}

// Namespace is what another network namespace holds.
type Namespace struct {
	Name        string // as `mptcpctl -n` takes it: foreign, escape it before showing
	Hint        string // what runs there: foreign as well
	Endpoints   int
	Makers      int // of the endpoints: subflows are created from them
	Connections int
	Single      int // of the connections: made there to other hosts, with one subflow
	Listeners   int
	Managed     bool // NetworkManager runs there: it makes endpoints without being asked
	Used        bool // connections were made or accepted there before
	Behind      bool // its default route leads to an address of the judged namespace
	Ahead       bool // it has an address that a default route of the judged namespace leads to
}

// Probe is a connect of our own, for a trial.
type Probe struct {
	Local, Remote netip.AddrPort
	MPTCP         bool          // asked for MPTCP
	Error         syscall.Errno // 0: connected
	Fallback      bool          // connected, and TCP is spoken
}

// Gap is something that could not be seen.
type Gap struct {
	What string `json:"what"` // such as UnseenSubflows
	Why  string `json:"why"`  // such as "needs CAP_NET_ADMIN"
}

// UnseenSubflows is the gap where the kernel keeps back which TCP sockets are subflows.
const UnseenSubflows = "the subflows of connections"

// ElsewhereWanted reports whether it matters to the rules what the other network
// namespaces hold: where there is no MPTCP here, or no endpoint for the connections
// that were made here.
func (f *Facts) ElsewhereWanted() bool {
	if f.Focus == "" && len(f.Connections)+len(f.Listeners) == 0 {
		return true
	}
	return len(f.Endpoints) == 0 && single(newView(f)) > 0
}

// maxDestinations bounds for how many different peers routes are looked up.
const maxDestinations = 64

// LookupsWanted returns the route lookups that the rules need: from each endpoint
// that makes subflows to the peers of connections made here, as a socket with the mark of
// the connection does it, without and with the endpoint's device. Endpoints, connections and the network
// must be filled in before.
func (f *Facts) LookupsWanted() []hostnet.LookupRequest {
	v := newView(f)
	var wanted []hostnet.LookupRequest
	seen := map[hostnet.LookupRequest]bool{}
	want := func(q hostnet.LookupRequest) {
		if !seen[q] {
			seen[q] = true
			wanted = append(wanted, q)
		}
	}
	type destination struct {
		addr netip.Addr
		mark uint32
	}
	destinations := map[destination]bool{}
	for _, c := range v.clients {
		dst := destination{c.Remote.Addr(), v.Marks[c.Token]}
		if destinations[dst] || len(destinations) == maxDestinations {
			continue
		}
		destinations[dst] = true
		for _, q := range LookupsFrom(v.makers, dst.addr) {
			q.Mark = dst.mark
			want(q)
		}
	}
	return wanted
}

// LookupsFrom returns the route lookups from endpoints to one destination: as a
// socket without, and one with the endpoint's device does it.
func LookupsFrom(endpoints []mptcp.Endpoint, dst netip.Addr) []hostnet.LookupRequest {
	var wanted []hostnet.LookupRequest
	for _, e := range endpoints {
		if !sameFamily(e.Address, dst) {
			continue
		}
		wanted = append(wanted, hostnet.LookupRequest{Dst: dst, Src: e.Address.Unmap()})
		if e.IfIndex != 0 {
			wanted = append(wanted, hostnet.LookupRequest{Dst: dst, Src: e.Address.Unmap(), OIF: int(e.IfIndex)})
		}
	}
	return wanted
}
