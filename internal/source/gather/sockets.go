package gather

import (
	"net/netip"
	"slices"

	"mptcpctl/doctor"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// Listener is an MPTCP listener.
type Listener struct {
	mptcp.Connection
	Waiting uint32 // connections that wait for accept
	Backlog uint32 // how many may
}

// Sockets are the sockets of a namespace, as they were read.
type Sockets struct {
	Connections []mptcp.Connection // with their subflows
	Listeners   []Listener         // MPTCP
	TCP         TCPSockets
}

// each calls f with every socket.
func (s *Sockets) each(f func(*mptcp.Connection)) {
	for i := range s.Listeners {
		f(&s.Listeners[i].Connection)
	}
	for _, list := range [...][]mptcp.Connection{s.Connections, s.TCP.Plain, s.TCP.Listeners, s.TCP.Blackholed} {
		for i := range list {
			f(&list[i])
		}
	}
}

// Inodes adds the inodes of the sockets to the wanted ones.
func (s *Sockets) Inodes(wanted map[uint32]bool) {
	s.each(func(c *mptcp.Connection) {
		if c.Inode != 0 {
			wanted[c.Inode] = true
		}
	})
}

// Hold gives each socket the processes that hold it, by its inode.
func (s *Sockets) Hold(owners map[uint32][]mptcp.Process) {
	s.each(func(c *mptcp.Connection) { c.Processes = owners[c.Inode] })
}

// Tell puts into the facts what the filter lets through. It asks for the processes:
// call Hold first.
func (s *Sockets) Tell(f *doctor.Facts, c *Config) {
	f.Connections = keep(s.Connections, c.Matches)
	f.Listeners = make([]doctor.Listener, 0, len(s.Listeners))
	for i := range s.Listeners {
		l := listener(&s.Listeners[i].Connection)
		l.Waiting, l.MostWaiting = s.Listeners[i].Waiting, s.Listeners[i].Backlog
		f.Listeners = append(f.Listeners, l)
	}
	f.PlainFlows = flows(keep(s.TCP.Plain, c.Matches))
	f.PlainListeners = make([]doctor.Listener, 0, len(s.TCP.Listeners))
	for _, l := range keep(s.TCP.Listeners, c.Listens) {
		f.PlainListeners = append(f.PlainListeners, listener(&l))
	}
	f.Blackholed = flows(keep(s.TCP.Blackholed, c.Matches))
}

// Bind gives the listeners of endpoints with a port their addresses, which only their
// TCP sockets have.
func (s *Sockets) Bind() { s.TCP.bind(s.Listeners) }

func listener(c *mptcp.Connection) doctor.Listener {
	return doctor.Listener{Local: c.Local, Inode: c.Inode, Processes: c.Processes}
}

// mostFlows bounds how many plain TCP flows are reported: they are examples.
const mostFlows = 512

// TCPSockets are the TCP sockets of a namespace, told apart.
type TCPSockets struct {
	Plain      []mptcp.Connection        // without MPTCP
	Listeners  []mptcp.Connection        // without MPTCP
	Blackholed []mptcp.Connection        // with the mptcp ULP and no token
	accepting  map[uint32]netip.AddrPort // where the TCP sockets of MPTCP listeners listen, by inode
}

// Take sorts a TCP socket that is no subflow of a connection.
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
	case s.HasMPTCP && s.MPTCP.TokenLocal == 0 && s.MPTCP.TokenRemote == 0 &&
		(s.State == mptcp.StateEstablished || s.State == mptcp.StateCloseWait):
		list = &t.Blackholed
	default:
		return
	}
	if len(*list) < mostFlows {
		*list = append(*list, mptcp.Connection{
			Family: s.Family,
			State:  s.State,
			Local:  s.Local,
			Remote: s.Remote,
			Inode:  s.Inode,
			UID:    s.UID,
			Cookie: s.Cookie,
		})
	}
}

// bind gives the kernel's own listeners, of endpoints with a port, their addresses:
// the MPTCP socket is not bound, its TCP socket is. They are nobody's, and lose
// their inode, by which others are known to be a program's.
func (t *TCPSockets) bind(listeners []Listener) {
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
func keep(list []mptcp.Connection, wanted func(*mptcp.Connection) bool) []mptcp.Connection {
	return slices.DeleteFunc(list, func(c mptcp.Connection) bool { return !wanted(&c) })
}

// flows returns them as doctor has them.
func flows(list []mptcp.Connection) []doctor.Flow {
	flows := make([]doctor.Flow, 0, len(list))
	for i := range list {
		c := &list[i]
		flows = append(flows, doctor.Flow{Local: c.Local, Remote: c.Remote, State: c.State, Processes: c.Processes})
	}
	return flows
}
