package gather

import (
	"slices"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/mptcp"
)

// DefaultWindow is the time between two readings of the counters that is enough to
// see what moves on a host where something happens.
const DefaultWindow = 250 * time.Millisecond

// Config says what Facts gathers. The zero value, and nil, mean all connections
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

	// Keep is for those that look again and again: listening goes on until the source is
	// closed, and the next window begins where this one ends. The events of earlier looks
	// count for as long as their connections live. A recording has all of them anyway.
	Keep bool

	// Alone leaves out what is outside of the namespace: other namespaces, the ip
	// command.
	Alone bool
}

// Narrow leaves in the facts what the filter lets through, as if they had been
// gathered with it.
func (c *Config) Narrow(f *doctor.Facts) {
	f.Connections = keep(f.Connections, c.Matches)
	f.PlainFlows, f.Blackholed = c.flows(f.PlainFlows), c.flows(f.Blackholed)
	f.PlainListeners = slices.DeleteFunc(f.PlainListeners, func(l doctor.Listener) bool {
		return !c.Listens(
			&mptcp.Connection{
				Family:    mptcp.FamilyOf(l.Local.Addr()),
				State:     mptcp.StateListen,
				Local:     l.Local,
				Inode:     l.Inode,
				Processes: l.Processes,
			},
		)
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
			Family: mptcp.FamilyOf(
				f.Local.Addr(),
			), State: f.State, Local: f.Local, Remote: f.Remote, Processes: f.Processes,
		})
	})
}

// Matches reports whether the filter lets the connection through.
func (c *Config) Matches(m *mptcp.Connection) bool { return c.Match == nil || c.Match(m) }

// Listens reports whether the filter lets the TCP listener through.
func (c *Config) Listens(m *mptcp.Connection) bool { return c.Listen == nil || c.Listen(m) }
