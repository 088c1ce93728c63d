package probe

import (
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// TestExpectedJoins: joins are expected from what the ledger foresees, limits aside.
func TestExpectedJoins(t *testing.T) {
	at := netip.MustParseAddr
	s := track.Snapshot{
		PathManager: "userspace",
		Endpoints: []mptcp.Endpoint{
			{ID: 1, Address: at("10.0.1.1"), Flags: mptcp.FlagSubflow},                      // the initial subflow's
			{ID: 2, Address: at("10.0.2.1"), Flags: mptcp.FlagSubflow | mptcp.FlagBackup},   //
			{ID: 3, Address: at("10.0.3.1"), Flags: mptcp.FlagSignal},                       // only announced
			{ID: 4, Address: at("fd00::1"), Flags: mptcp.FlagSubflow},                       // of the other family
			{ID: 5, Address: at("10.0.5.1"), Flags: mptcp.FlagFullmesh},                     // only for announced addresses
			{ID: 6, Address: at("10.0.6.1"), Flags: mptcp.FlagSubflow | mptcp.FlagFullmesh}, //
			{ID: 7, Address: at("10.0.7.1"), Flags: mptcp.FlagSubflow | mptcp.FlagImplicit}, // the kernel's own
		},
	}
	for _, c := range []struct {
		local, remote string
		want          []mptcp.AddressID
	}{
		{"10.0.1.1:1", "10.0.1.9:2", []mptcp.AddressID{2, 6}},
		{"[::ffff:10.0.1.1]:1", "[::ffff:10.0.1.9]:2", []mptcp.AddressID{2, 6}},
		{"[fd00::7]:1", "[fd00::9]:2", []mptcp.AddressID{4}},
	} {
		var ids []mptcp.AddressID
		for _, e := range expectedJoins(&s, netip.MustParseAddrPort(c.local), netip.MustParseAddrPort(c.remote)) {
			ids = append(ids, e.ID)
		}
		if !slices.Equal(ids, c.want) {
			t.Errorf("from %s to %s: %v, want %v", c.local, c.remote, ids, c.want)
		}
	}
}
