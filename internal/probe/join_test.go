package probe

import (
	"net/netip"
	"testing"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

func TestStatesOfJoins(t *testing.T) {
	address := netip.MustParseAddr("10.0.2.2")
	server := netip.MustParseAddrPort("10.0.1.1:80")
	with := func(local string, state mptcp.SubflowState, confirmed bool) *mptcp.Connection {
		start := netip.MustParseAddrPort("10.0.1.2:1")
		return &mptcp.Connection{
			Token: 1, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
			Local: start, Remote: server, BytesReceived: 1,
			Subflows: []mptcp.Subflow{
				{Local: start, Remote: server, State: mptcp.SubflowEstablished, Initial: true, FullyEstablished: true},
				{
					Local: netip.MustParseAddrPort(local), Remote: server, State: state, TokenRemote: 2,
					FullyEstablished: confirmed,
				},
			},
		}
	}
	for name, c := range map[string]struct {
		of   *mptcp.Connection
		want string
		up   int
	}{
		"the connection has ended":      {nil, JoinNone, 0},
		"from another address":          {with("10.0.3.2:1", mptcp.SubflowEstablished, true), JoinNone, 0},
		"its SYN is out":                {with("10.0.2.2:1", mptcp.SubflowPending, false), JoinPending, 0},
		"it is up on one side only":     {with("10.0.2.2:1", mptcp.SubflowEstablished, false), JoinPending, 0},
		"it is up":                      {with("10.0.2.2:1", mptcp.SubflowEstablished, true), JoinUp, 1},
		"it is up, as a mapped address": {with("[::ffff:10.0.2.2]:1", mptcp.SubflowEstablished, true), JoinUp, 1},
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
