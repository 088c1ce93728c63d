package doctor

import (
	"strings"
	"testing"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// A connection whose last subflow has gone is not well, though its state is
// established.
func TestAbandoned(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Facts, *mptcp.Connection)
		found  bool
	}{
		{"for two seconds", func(*Facts, *mptcp.Connection) {}, true},
		{"accepted here", func(f *Facts, c *mptcp.Connection) {
			accepted(f)
			c.Subflows = nil
		}, true},
		{"side unknown", func(_ *Facts, c *mptcp.Connection) { c.Side = mptcp.SideUnknown }, true},
		{"just now", func(_ *Facts, c *mptcp.Connection) { c.LastAckRecvMS = 999 }, false},
		{"old kernel", func(_ *Facts, c *mptcp.Connection) { c.LastAckRecvMS = 0 }, false},
		{"fallback", func(_ *Facts, c *mptcp.Connection) { c.Fallback = true }, false},
		{"closing", func(_ *Facts, c *mptcp.Connection) { c.State = mptcp.StateFinWait1 }, false},
		{"subflows kept back", func(f *Facts, _ *mptcp.Connection) { f.Unseen = []Gap{{What: UnseenSubflows}} }, false},
		{"one left", func(_ *Facts, c *mptcp.Connection) { c.Subflows = []mptcp.Subflow{initialSubflow()} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			c := &f.Connections[0]
			c.Subflows, c.LastAckRecvMS = nil, 2000
			tt.change(f, c)
			report := Diagnose(*f)
			found := len(report.Findings) > 0 && strings.Contains(report.Findings[0].Title, "carries nothing")
			if found != tt.found {
				t.Errorf("found is %v: %+v", found, report.Findings)
			}
			if found && (report.Findings[0].Confidence != track.Certain || report.Connections[0].Verdict != Failure) {
				t.Errorf("%+v", report)
			}
		})
	}
}
