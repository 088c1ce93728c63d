package probe

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

func TestStatesOfJoins(t *testing.T) {
	address := netip.MustParseAddr("10.0.2.2")
	subflow := func(local string, state mptcp.SubflowState, initial bool) mptcp.Subflow {
		return mptcp.Subflow{Local: netip.MustParseAddrPort(local), State: state, Initial: initial}
	}
	for name, c := range map[string]struct {
		of   *mptcp.Connection
		want string
		up   int
	}{
		"the connection has ended": {nil, JoinNone, 0},
		"only the initial subflow": {&mptcp.Connection{Subflows: []mptcp.Subflow{subflow("10.0.1.2:1", mptcp.SubflowEstablished, true)}}, JoinNone, 0},
		"it is not confirmed yet":  {&mptcp.Connection{Subflows: []mptcp.Subflow{subflow("10.0.2.2:1", mptcp.SubflowPending, false)}}, JoinPending, 0},
		"it is up":                 {&mptcp.Connection{Subflows: []mptcp.Subflow{subflow("10.0.2.2:1", mptcp.SubflowEstablished, false)}}, JoinUp, 1},
		"it is up, as a mapped address": {
			&mptcp.Connection{Subflows: []mptcp.Subflow{subflow("[::ffff:10.0.2.2]:1", mptcp.SubflowEstablished, false)}},
			JoinUp,
			1,
		},
	} {
		joins, up := joinsOf(c.of, []mptcp.Endpoint{{Address: address, Flags: mptcp.FlagSubflow}}, nil)
		if len(joins) != 1 || joins[0].State != c.want || joins[0].Address != address || up != c.up {
			t.Errorf("%s: %+v, %d up, want %s", name, joins, up, c.want)
		}
	}
}

// Every endpoint must have joined for a probe to be fine.
func TestFineNeedsAllJoins(t *testing.T) {
	p := &Prober{Out: present.Probe{Verdict: "mptcp", Joins: []present.ProbeJoin{{State: JoinUp}, {State: JoinUp}}}}
	if !p.Fine() {
		t.Error("two joins that are up are not fine")
	}
	p.Out.Joins[1].State = JoinPending
	if p.Fine() {
		t.Error("a join that is pending is fine")
	}
}
