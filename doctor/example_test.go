package doctor_test

import (
	"fmt"
	"net/netip"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

func ExampleDiagnose() {
	report := doctor.Diagnose(doctor.Facts{
		Limits:    &mptcp.Limits{Subflows: 2},
		Endpoints: []mptcp.Endpoint{{ID: 3, Address: netip.MustParseAddr("192.0.2.3"), Flags: mptcp.FlagSubflow}},
		Network:   hostnet.Network{Addresses: []hostnet.Address{{Addr: netip.MustParseAddr("192.0.2.2")}}},
	})
	fmt.Println(report.Verdict)
	for _, f := range report.Findings {
		fmt.Println(f.Rule, f.Severity, f.Confidence, f.Title)
		fmt.Println(f.Fix[0])
	}
	// Output:
	// failure
	// D21 fail certain endpoint 192.0.2.3 cannot be used: the address is not on this host
	// mptcpctl endpoint delete id 3
}
