package ledger

import (
	"net/netip"
	"testing"

	"mptcpctl/mptcp"
)

// TestRulesOfKernels: what differs between kernels changes the account, and what a kernel
// does not know has no effect.
func TestRulesOfKernels(t *testing.T) {
	const laminar = mptcp.FlagLaminar
	follow := func(release string, flags mptcp.EndpointFlags) netip.Addr {
		f := situation()
		f.Release, f.Endpoints[0].Flags = release, flags
		f.event(mptcp.EventAnnounced, func(ev *mptcp.Event) {
			ev.RemoteID, ev.Destination = 4, netip.MustParseAddr("10.91.9.1")
		})
		l := Of(*f)
		for e := range l.Connection(token) {
			if e.Kind == Follow {
				return e.Endpoint.Address
			}
		}
		t.Errorf("%s, %v: the announced address has no entry", release, flags)
		return netip.Addr{}
	}
	// Linux 6.17 keeps the bit of the flag, and follows announcements by the route.
	if at := follow("6.17.13+deb13-amd64", laminar); at.IsValid() {
		t.Errorf("6.17: laminar is heeded: %v", at)
	}
	for _, release := range []string{"6.18.15", "7.3.4", ""} {
		if at := follow(release, laminar); !at.IsValid() {
			t.Errorf("%q: laminar is not heeded", release)
		}
	}
	if at := follow("5.14.0-570.el9", mptcp.FlagFullmesh); at.IsValid() {
		t.Errorf("5.14: fullmesh is heeded: %v", at)
	}
	f := situation()
	f.Endpoints[0].Flags |= laminar
	f.Release = "6.17.1"
	Of(*f)
	if !f.Endpoints[0].Flags.Has(laminar) {
		t.Error("the facts were changed")
	}
}

// TestSignalUsesUp: before Linux 6.11 the announcement of an endpoint may use up its own
// subflow as well, and nothing counts that.
func TestSignalUsesUp(t *testing.T) {
	for _, c := range []struct {
		release string
		flags   mptcp.EndpointFlags
		may     bool
	}{
		{"6.1.0-49", mptcp.FlagSubflow | mptcp.FlagSignal, true},
		{"6.1.0-49", mptcp.FlagSubflow, false},
		{"6.11.1", mptcp.FlagSubflow | mptcp.FlagSignal, false},
		{"5.17.1", mptcp.FlagSubflow | mptcp.FlagSignal, false},
	} {
		f := situation()
		f.Release, f.Endpoints[0].Flags = c.release, c.flags
		f.count(0, 0, 0, 0, 0)
		l := Of(*f)
		e := l.Join(token, f.Endpoints[0].Address)
		if e == nil || !e.May(NotLookedAgain) || e.May(UsedOtherwise) != c.may {
			t.Errorf("%s, %v: %v", c.release, c.flags, e)
		}
	}
}
