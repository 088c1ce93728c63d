package firewall_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"testing"

	"mptcpctl/internal/firewall"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// What the lab asks the kernel for is read back, and judged as the kernel does it.
func TestReadFirewall(t *testing.T) {
	ns := labtest.Namespace(t)
	read := func() (f *firewall.Firewall) {
		t.Helper()
		err := ns.Do(func() (err error) {
			f, err = firewall.Read(t.Context())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if f := read(); len(f.Chains) != 0 {
		t.Errorf("a new namespace has %+v", f.Chains)
	}
	for _, tt := range []struct {
		name string
		rule lab.FirewallRule
		want string // of a SYN with MP_JOIN
	}{
		{"drop a join", lab.FirewallRule{Hook: lab.HookOutput, Out: "eth1", Flags: lab.SYN, FlagsMask: lab.SYN | lab.ACK, Option: lab.MPTCPOption(lab.SubtypeMPJoin), Verdict: lab.Drop}, "drops"},
		{"another subtype", lab.FirewallRule{Hook: lab.HookOutput, Option: lab.MPTCPOption(lab.SubtypeDSS), Verdict: lab.Drop}, ""},
		{"reject", lab.FirewallRule{Hook: lab.HookOutput, Destination: netip.MustParsePrefix("10.0.1.0/25"), DestinationPort: 443, Verdict: lab.RejectReset}, "rejects"},
		{"another port", lab.FirewallRule{Hook: lab.HookOutput, DestinationPort: 444, Verdict: lab.RejectReset}, ""},
		{"another source", lab.FirewallRule{Hook: lab.HookOutput, Source: netip.MustParsePrefix("10.0.1.3/32"), Verdict: lab.Drop}, ""},
		{"strip", lab.FirewallRule{Hook: lab.HookPostrouting, Option: lab.MPTCPOption(lab.AnySubtype), Verdict: lab.StripOption}, "takes MPTCP out of"},
		{"one in ten", lab.FirewallRule{Hook: lab.HookOutput, OneIn: 10, Verdict: lab.Drop}, ""},
		{"rewrite", lab.FirewallRule{Hook: lab.HookOutput, Verdict: lab.Rewrite}, ""},
		{"masquerade", lab.FirewallRule{Hook: lab.HookPostrouting, Verdict: lab.Masquerade}, ""},
		{"accept", lab.FirewallRule{Hook: lab.HookOutput, Verdict: lab.Accept}, ""},
	} {
		if err := ns.SetFirewall(tt.rule); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		f := read()
		if len(f.Chains) != 1 || len(f.Chains[0].Rules) != 1 || f.Chains[0].Hook == "" ||
			f.Chains[0].Rules[0].Handle == 0 {
			t.Errorf("%s: %+v", tt.name, f)
			continue
		}
		hits := f.Judge(packet("10.0.1.2:40000", "10.0.1.1:443", "eth1", "SYN", 1))
		got := ""
		if len(hits) == 1 && hits[0].Sure {
			got = string(hits[0].Deed)
		}
		if got != tt.want || len(hits) > 0 && tt.want == "" {
			t.Errorf("%s: %q, want %q", tt.name, told(hits), tt.want)
		}
	}
}

// Without CAP_NET_ADMIN nothing can be read, and that is said.
func TestReadFirewallUnprivileged(t *testing.T) {
	ns := labtest.Namespace(t)
	err := ns.Do(func() error {
		capabilities := [2]unix.CapUserData{} // none, on this thread, which ends
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &capabilities[0]); err != nil {
			t.Error(err)
		}
		_, err := firewall.Read(t.Context())
		return err
	})
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v", err)
	}
}
