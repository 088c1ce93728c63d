package pathadvice

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// report is of a host with two links of both families.
func report() hostnet.PathReport {
	var r hostnet.PathReport
	for family, address := range map[mptcp.Family]string{mptcp.FamilyINET: "10.0.%.1", mptcp.FamilyINET6: "fd00:%::1"} {
		of := func(n string) netip.Addr { return netip.MustParseAddr(strings.Replace(address, "%", n, 1)) }
		r.Destinations = append(r.Destinations, hostnet.Destination{
			Family: family, Address: of("9"), Source: of("1"), Device: "e1",
		})
		r.Paths = append(r.Paths,
			hostnet.Path{Address: of("1"), Family: family, Device: "e1", IfIndex: 1, Initial: true, Usable: true,
				OwnLink: true},
			hostnet.Path{Address: of("2"), Family: family, Device: "e2", IfIndex: 2, Usable: true, OwnLink: true})
	}
	return r
}

// TestLimitIsWhatTheLedgerForesees: the limit that is advised is what one connection needs.
func TestLimitIsWhatTheLedgerForesees(t *testing.T) {
	second := mptcp.Endpoint{ID: 1, Address: netip.MustParseAddr("10.0.2.1"), Flags: mptcp.FlagSubflow}
	absent := mptcp.Endpoint{ID: 2, Address: netip.MustParseAddr("10.0.7.1"), Flags: mptcp.FlagSubflow}
	for _, c := range []struct {
		name      string
		limit     uint32
		endpoints []mptcp.Endpoint
		command   string // about limits, "" for none
		note      string
	}{
		{"one path of each family: a connection has one of them", 1, nil, "", ""},
		{"none is allowed", 0, nil, "mptcpctl limits set subflows 1", ""},
		{"an endpoint that is there waits for the limit", 0, []mptcp.Endpoint{second},
			"mptcpctl limits set subflows 1", "the limit of additional subflows is 0"},
		{"one whose address cannot be used leaves its place", 1, []mptcp.Endpoint{absent, second}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Advice{Device: func(int32) string { return "" }, Inside: func(s string) string { return s }}
			answer := a.Of(report(), c.endpoints, mptcp.Limits{Subflows: c.limit})
			command := ""
			if i := slices.IndexFunc(answer.Commands, func(s string) bool { return strings.Contains(s, "limits") }); i >= 0 {
				command = answer.Commands[i]
			}
			if command != c.command {
				t.Errorf("%q, want %q", command, c.command)
			}
			told := slices.ContainsFunc(answer.Paths, func(p present.Path) bool {
				return slices.ContainsFunc(p.Notes, func(n string) bool { return strings.HasSuffix(n, "no subflow on new connections: "+c.note) })
			})
			if told != (c.note != "") {
				t.Errorf("a note about the endpoint: %v", told)
			}
		})
	}
}
