package gather

import (
	"net/netip"
	"slices"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// DefaultWindow is the time between two readings of the counters that is enough to
// see what moves on a host where something happens.
const DefaultWindow = 250 * time.Millisecond

// FactsConfig says what Facts gathers. The zero value, and nil, mean all connections
// and a single reading of the counters.
type Config struct {
	// Window is the time between two readings of the counters. Events are listened
	// to meanwhile. 0: the counters are read once, and no events. Of a recording it
	// is how far counters and events go back, to the next snapshot; 0: to its
	// beginning.
	Window time.Duration

	// Focus are the words of a filter, with functions that tell what it lets
	// through: nil for everything. Match is given connections with their subflows
	// and processes; for a plain TCP flow one without token and subflows. Listen is
	// given plain TCP listeners: those of MPTCP serve the connections that are left,
	// and stay.
	Focus  string
	Match  func(*mptcp.Connection) bool
	Listen func(*mptcp.Connection) bool

	// Alone leaves out what is outside of the namespace: other namespaces, the ip
	// command.
	Alone bool
}

// Narrow leaves in the facts what the filter lets through, as if they had been
// gathered with it.
func (c *Config) Narrow(f *doctor.Facts) {
	f.Connections = Keep(f.Connections, c.Matches)
	f.PlainFlows, f.Blackholed = c.flows(f.PlainFlows), c.flows(f.Blackholed)
	f.PlainListeners = slices.DeleteFunc(f.PlainListeners, func(l doctor.Listener) bool {
		return !c.Listens(&mptcp.Connection{Family: mptcp.FamilyOf(l.Local.Addr()), State: mptcp.StateListen, Local: l.Local, Inode: l.Inode, Processes: l.Processes})
	})
	switch {
	case f.Focus == "":
		f.Focus = c.Focus
	case c.Focus != "":
		f.Focus = "( " + f.Focus + " ) and ( " + c.Focus + " )"
	}
}

// flows leaves the flows that are wanted.
func (c *Config) flows(list []doctor.Flow) []doctor.Flow {
	return slices.DeleteFunc(list, func(f doctor.Flow) bool {
		return !c.Matches(&mptcp.Connection{
			Family: mptcp.FamilyOf(f.Local.Addr()), State: f.State, Local: f.Local, Remote: f.Remote, Processes: f.Processes,
		})
	})
}

func (c *Config) Matches(m *mptcp.Connection) bool { return c.Match == nil || c.Match(m) }
func (c *Config) Listens(m *mptcp.Connection) bool { return c.Listen == nil || c.Listen(m) }

// mostFlows bounds how many plain TCP flows are reported: they are examples.
const mostFlows = 512

// tcpSockets are the TCP sockets of a namespace, told apart.
type TCPSockets struct {
	Plain      []mptcp.Connection        // without MPTCP
	Listeners  []mptcp.Connection        // without MPTCP
	Blackholed []mptcp.Connection        // with the mptcp ULP and no token
	accepting  map[uint32]netip.AddrPort // where the TCP sockets of MPTCP listeners listen, by inode
}

// take sorts a TCP socket that is no subflow of a connection.
func (t *TCPSockets) Take(s *sockdiag.Subflow) {
	list := &t.Plain
	switch {
	case s.State == mptcp.StateListen && s.ULP == uapi.ULPMPTCP:
		if t.accepting == nil {
			t.accepting = map[uint32]netip.AddrPort{}
		}
		t.accepting[s.Inode] = s.Local
		return
	case s.State == mptcp.StateListen:
		list = &t.Listeners
	case s.State == mptcp.StateTimeWait || s.State == mptcp.StateNewSynRecv || s.State == mptcp.StateSynRecv:
		return // nobody's, or nobody's yet
	case s.ULP != uapi.ULPMPTCP:
	case s.HasMPTCP && s.MPTCP.TokenLocal == 0 && s.MPTCP.TokenRemote == 0 && (s.State == mptcp.StateEstablished || s.State == mptcp.StateCloseWait):
		list = &t.Blackholed
	default:
		return
	}
	if len(*list) < mostFlows {
		*list = append(*list, mptcp.Connection{
			Family: s.Family, State: s.State, Local: s.Local, Remote: s.Remote, Inode: s.Inode, UID: s.UID, Cookie: s.Cookie,
		})
	}
}

// bind gives the kernel's own listeners, of endpoints with a port, their addresses:
// the MPTCP socket is not bound, its TCP socket is. They are nobody's, and lose
// their inode, by which others are known to be a program's.
func (t *TCPSockets) Bind(listeners []mptcp.Connection) {
	for i := range listeners {
		l := &listeners[i]
		if l.Local.Port() != 0 {
			continue
		}
		if at, ok := t.accepting[l.Inode]; ok {
			l.Local, l.Inode = at, 0
		}
	}
}

// keep leaves the connections that are wanted.
func Keep(list []mptcp.Connection, wanted func(*mptcp.Connection) bool) []mptcp.Connection {
	return slices.DeleteFunc(list, func(c mptcp.Connection) bool { return !wanted(&c) })
}

func Flows(list []mptcp.Connection) []doctor.Flow {
	flows := make([]doctor.Flow, 0, len(list))
	for i := range list {
		c := &list[i]
		flows = append(flows, doctor.Flow{Local: c.Local, Remote: c.Remote, State: c.State, Processes: c.Processes})
	}
	return flows
}

func Listeners(list []mptcp.Connection) []doctor.Listener {
	listeners := make([]doctor.Listener, 0, len(list))
	for i := range list {
		c := &list[i]
		listeners = append(listeners, doctor.Listener{Local: c.Local, Inode: c.Inode, Processes: c.Processes})
	}
	return listeners
}

// mostEvents bounds how many events of the window are kept.
const MostEvents = 1 << 16

// moved returns what was counted. A gauge counts nothing.
func Moved(after, before counters.Values) counters.Values {
	return after.Since(before).Moved().Select(func(name string) bool { return !counters.IsGauge(name) })
}
