package doctor

import (
	"fmt"
	"time"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/shell"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// abandonedFor is how long a connection must have been without a subflow: less may
// be the time between two dumps.
const abandonedFor = time.Second

// abandoned is D42 at its worst: the last subflow of a connection has gone. The kernel
// keeps the connection for net.mptcp.close_timeout, for a new subflow to come.
func abandoned(v *view) []Finding {
	if v.blind {
		return nil
	}
	var g group
	for i := range v.Connections {
		c := &v.Connections[i]
		last := time.Duration(c.LastAckRecvMS) * time.Millisecond
		if c.State != mptcp.StateEstablished || c.Fallback || len(c.Subflows) > 0 || last < abandonedFor {
			continue
		}
		g.add(c.Remote.String(), c, func() Finding {
			f := Finding{
				Rule: rule.NotRetried, Severity: Fail, Confidence: track.Certain,
				Title:   fmt.Sprintf("the last subflow to %s is gone: the connection carries nothing", c.Remote),
				Subject: Subject{Netns: v.Netns, Remote: c.Remote},
				Evidence: []string{
					fmt.Sprintf("connection %s is established but has no subflow", c.Token),
					fmt.Sprintf("last acknowledgement %s ago", last.Round(100*time.Millisecond)),
				},
				Fix: append(v.reviving(c), "or let the application connect again"),
				Excluded: excluding("the kernel lists the subflows of all connections, and none of this one",
					rule.SilentPath, rule.CarriesNothing),
			}
			if t := v.Sysctls.CloseTimeout; t != nil {
				f.Evidence = append(
					f.Evidence,
					fmt.Sprintf("net.mptcp.close_timeout = %d: after that the kernel ends it", int(t.Seconds())),
				)
			}
			return f
		})
	}
	return g.list
}

// reviving is what gives a connection without subflows a new one: only the client makes it,
// from an endpoint that is added now.
func (v *view) reviving(c *mptcp.Connection) []string {
	if c.Side != mptcp.SideClient {
		return []string{"on the client: add an endpoint with the flag subflow, or delete one and add it again"}
	}
	paths := v.paths(c.Remote.Addr())
	if len(paths) == 0 {
		return []string{"mptcpctl paths   (shows whether another address of this host leads there)"}
	}
	a := paths[0]
	for _, e := range v.Endpoints {
		if plain(e.Address) == plain(a.Addr) && e.Flags.CreatesSubflows() {
			return repair(v, e)
		}
	}
	add := command.AddEndpoint(mptcp.Endpoint{Address: a.Addr}, "dev", shell.Word(v.device(a.IfIndex)), "subflow")
	return []string{add + "   (a new subflow revives it)"}
}
