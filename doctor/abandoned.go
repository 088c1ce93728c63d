package doctor

import (
	"fmt"
	"time"

	"mptcpctl/doctor/rule"
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
				Fix: []string{
					"mptcpctl endpoint add ADDRESS dev DEV subflow   (on the client: a new subflow revives it)",
					"or let the application connect again",
				},
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
