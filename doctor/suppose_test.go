package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
)

// TestCheckEndpoint has each verdict on an endpoint that is not there yet.
func TestCheckEndpoint(t *testing.T) {
	base := healthy(t)
	second := base.Endpoints[0]
	for _, tt := range []struct {
		name   string
		change func(*Facts, *mptcp.Endpoint)
		rules  string // "" for none; "-" for a problem that no rule is about
		fix    string
	}{
		{"works", func(*Facts, *mptcp.Endpoint) {}, "", ""},
		{"not here", func(_ *Facts, e *mptcp.Endpoint) { e.Address, e.IfIndex = netip.MustParseAddr("10.9.9.9"), 0 }, "D21", "ip address add"},
		{"limit", func(f *Facts, _ *mptcp.Endpoint) { f.Limits.Subflows = 0 }, "D15", "mptcpctl limits set subflows"},
		{"own address", func(_ *Facts, e *mptcp.Endpoint) { e.Address, e.IfIndex = ethIP, eth }, "D20", ""},
		{"own address beside another endpoint", func(f *Facts, e *mptcp.Endpoint) {
			f.Endpoints = []mptcp.Endpoint{*e}
			e.Address, e.IfIndex = ethIP, eth
		}, "D20", "another address"},
		{"own address, to all that the peer announces", func(f *Facts, e *mptcp.Endpoint) {
			f.Endpoints = []mptcp.Endpoint{*e}
			e.Address, e.IfIndex, e.Flags = ethIP, eth, mptcp.FlagSubflow|mptcp.FlagFullmesh
		}, "", ""},
		{"without dev", func(_ *Facts, e *mptcp.Endpoint) { e.IfIndex = 0 }, "D27", "dev wlan0"},
		{"link down", func(f *Facts, _ *mptcp.Endpoint) {
			f.Network.Links = slices.Clone(f.Network.Links)
			f.Network.Links[2].Up, f.Network.Links[2].Carrier = false, false
		}, "D22", "ip link set"},
		{"no flags", func(_ *Facts, e *mptcp.Endpoint) { e.Flags = 0 }, "D19", ""},
		{"fullmesh alone", func(_ *Facts, e *mptcp.Endpoint) { e.Flags = mptcp.FlagFullmesh }, "-", "subflow fullmesh"},
		{"signal on a client", func(f *Facts, e *mptcp.Endpoint) {
			e.Flags, f.Listeners = mptcp.FlagSignal, []Listener{}
		}, "D10", "subflow"},
		{"already there", func(f *Facts, e *mptcp.Endpoint) {
			f.Endpoints = []mptcp.Endpoint{{ID: 3, Address: e.Address, Flags: mptcp.FlagSubflow, IfIndex: e.IfIndex}}
		}, "-", "mptcpctl endpoint delete id 3"},
		{"table full", func(f *Facts, _ *mptcp.Endpoint) {
			f.Kernel.Release = "6.18.1"
			for i := range 8 {
				f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: mptcp.AddressID(i + 1), Address: netip.MustParseAddr(fmt.Sprintf("10.0.1.%d", 100+i)), Flags: mptcp.FlagSignal})
			}
		}, "D24", "mptcpctl endpoint delete id 1"},
		{"of another family", func(_ *Facts, e *mptcp.Endpoint) { e.Address = netip.MustParseAddr("fd01::2") }, "D23", "mptcpctl paths to"},
		{"on another device than the one it names", func(_ *Facts, e *mptcp.Endpoint) { e.IfIndex = eth }, "D27", "dev wlan0"},
		{"loopback", func(f *Facts, e *mptcp.Endpoint) {
			e.Address, e.IfIndex = netip.MustParseAddr("127.0.0.1"), 0
			f.Network.Links = append(slices.Clone(f.Network.Links), hostnet.Link{Index: 99, Name: "lo", Up: true, Carrier: true, Loopback: true})
			f.Network.Addresses = append(slices.Clone(f.Network.Addresses), hostnet.Address{IfIndex: 99, Addr: e.Address, Prefix: netip.MustParsePrefix("127.0.0.0/8")})
			f.Lookups = append(slices.Clone(f.Lookups), Lookup{Request: hostnet.LookupRequest{Dst: server.Addr(), Src: e.Address}, Error: "invalid argument"})
		}, "D28", "another address"},
		{"switched off", func(f *Facts, _ *mptcp.Endpoint) { f.Sysctls = sysctls(t, map[string]string{"enabled": "0"}) }, "D02", "net.mptcp.enabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, e := *healthy(t), second
			f.Endpoints = nil
			limits := *f.Limits
			f.Limits = &limits
			tt.change(&f, &e)
			c := f.Connections[0]
			s := Suppose(f, e, []Start{{c.Local.Addr(), c.Remote.Addr()}})
			s.Lookups = f.Lookups
			problems := CheckEndpoint(s, e)
			var found []string
			text := fmt.Sprintf("%+v", problems)
			for _, p := range problems {
				found = append(found, string(cmp.Or(p.Rule, "-")))
			}
			if tt.rules == "" && len(problems) > 0 || tt.rules != "" && !slices.Contains(found, tt.rules) {
				t.Errorf("found %v, want %q: %s", found, tt.rules, text)
			}
			if !strings.Contains(text, tt.fix) {
				t.Errorf("no %q: %s", tt.fix, text)
			}
			if strings.Contains(text, "connection 0000") || strings.Contains(text, "delete id 0") {
				t.Errorf("names what is not there: %s", text)
			}
		})
	}
}

// An endpoint that the host has already is told to be there, with what connections make
// of it.
func TestExisting(t *testing.T) {
	f := healthy(t)
	e := f.Endpoints[0]
	id, lines, fine := Existing(*f, mptcp.Endpoint{Address: e.Address, Flags: e.Flags, IfIndex: e.IfIndex})
	if id != e.ID || !fine || len(lines) != 1 || !strings.HasSuffix(lines[0], ": up") {
		t.Errorf("id %d, fine %v: %q", id, fine, lines)
	}
	alone(f)
	if _, lines, fine = Existing(*f, e); fine || !strings.Contains(lines[0], "will not retry it") {
		t.Errorf("fine %v: %q", fine, lines)
	}
	e.Flags |= mptcp.FlagBackup
	if id, _, _ = Existing(*f, e); id != 0 {
		t.Errorf("an endpoint with other flags is taken for endpoint %d", id)
	}
}

// A server behind a 1:1 NAT announces the public address, which is not on the host. With a
// port the kernel listens at the address, and it must be here.
func TestAnnouncedAddressBehindNAT(t *testing.T) {
	public := mptcp.Endpoint{ID: 3, Address: netip.MustParseAddr("203.0.113.77"), Flags: mptcp.FlagSignal}
	severity := func(change func(*Facts, *mptcp.Endpoint)) string {
		f, e := healthy(t), public
		f.Listeners = []Listener{{Local: netip.MustParseAddrPort("0.0.0.0:443"), Inode: 7}}
		c := &f.Connections[0]
		c.Side = mptcp.SideServer
		change(f, &e)
		f.Endpoints = []mptcp.Endpoint{e}
		for _, found := range Diagnose(*f).Findings {
			if found.Rule == rule.AddressMissing {
				return found.Severity.String() + " " + found.Confidence.String()
			}
		}
		return ""
	}
	for name, tt := range map[string]struct {
		change func(*Facts, *mptcp.Endpoint)
		want   string
	}{
		"announced": {func(*Facts, *mptcp.Endpoint) {}, "info possible"},
		"in use":    {func(f *Facts, e *mptcp.Endpoint) { f.Connections[0].Subflows[1].LocalID = e.ID }, ""},
		"with port": {func(_ *Facts, e *mptcp.Endpoint) { e.Port = 443 }, "fail certain"},
		"subflow":   {func(_ *Facts, e *mptcp.Endpoint) { e.Flags |= mptcp.FlagSubflow }, "fail certain"},
	} {
		if got := severity(tt.change); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
