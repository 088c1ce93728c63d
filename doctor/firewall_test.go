package doctor

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/firewall"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// attribute is a netlink attribute, padded.
func attribute(kind uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, data...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func big(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// exthdr looks at TCP option 30: takes it out, or compares its subtype, and drops.
func exthdr(strip bool, subtype byte) []firewall.Expression {
	option := slices.Concat(attribute(2, 30), attribute(6, big(1)...)) // NFTA_EXTHDR_TYPE, NFTA_EXTHDR_OP
	if strip {
		return []firewall.Expression{{Name: "exthdr", Data: option}}
	}
	load := slices.Concat(option, attribute(1, big(1)...), attribute(3, big(2)...), attribute(4, big(1)...))
	compare := slices.Concat(
		attribute(1, big(1)...),
		attribute(2, big(0)...),
		attribute(3, attribute(1, subtype<<4)...),
	)
	verdict := slices.Concat(attribute(1, big(0)...), attribute(2, attribute(2, attribute(1, big(0)...)...)...))
	return []firewall.Expression{
		{Name: "exthdr", Data: load},
		{Name: "cmp", Data: compare},
		{Name: "immediate", Data: verdict},
	}
}

func filter(hook firewall.Hook, e []firewall.Expression) *firewall.Firewall {
	return &firewall.Firewall{Chains: []firewall.Chain{{
		Family: "inet", Table: "filter", Name: "mine", Hook: hook, Rules: []firewall.Rule{{Handle: 7, Expressions: e}},
	}}}
}

// What the firewall of this host does to the suspected packets makes a finding
// certain; what it does to others is not told, and a firewall alone is no finding.
func TestFirewallIsEvidence(t *testing.T) {
	const told = "the firewall of this host does so: it "
	for _, tt := range []struct {
		name     string
		rule     rule.ID
		firewall *firewall.Firewall
		change   func(*Facts)
		evidence string // "" for none
	}{
		{"join", "D35", filter(firewall.HookOutput, exthdr(false, 1)), func(f *Facts) { pend(f) }, told + "drops SYN with MP_JOIN, in inet filter mine handle 7 (hook output)"},
		{"its answer", "D35", filter(firewall.HookInput, exthdr(false, 1)), func(f *Facts) { pend(f) }, told + "drops SYN/ACK with MP_JOIN, in inet filter mine handle 7 (hook input)"},
		{"another option", "D35", filter(firewall.HookOutput, exthdr(false, 0)), func(f *Facts) { pend(f) }, ""},
		{"handshake stripped", "D07", filter(firewall.HookOutput, exthdr(true, 0)), func(f *Facts) { fellBack(f, "MPCapableFallbackSYNACK") }, told + "takes MPTCP out of SYN with MP_CAPABLE, in inet filter mine handle 7 (hook output)"},
		{"blackhole", "D33", filter(firewall.HookPostrouting, exthdr(false, 0)), func(f *Facts) { f.Blackholed = []Flow{{Local: f.Connections[0].Local, Remote: server}} }, told + "drops SYN with MP_CAPABLE, in inet filter mine handle 7 (hook postrouting)"},
		{"data", "D38", filter(firewall.HookPrerouting, exthdr(true, 0)), func(f *Facts) { fellBack(f, "DssFallback") }, told + "takes MPTCP out of data with DSS, in inet filter mine handle 7 (hook prerouting)"},
		{"nothing wrong", "", filter(firewall.HookOutput, exthdr(false, 1)), func(*Facts) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			f.Firewall = tt.firewall
			tt.change(f)
			r := Diagnose(*f)
			i := slices.IndexFunc(r.Findings, func(x Finding) bool { return x.Rule == tt.rule })
			if tt.rule == "" && len(r.Findings) == 0 {
				return
			}
			if i < 0 {
				t.Fatalf("found %q", ids(r))
			}
			x := r.Findings[i]
			var lines []string
			for _, line := range x.Evidence {
				if strings.Contains(line, "firewall") {
					lines = append(lines, line)
				}
			}
			if got := strings.Join(lines, "\n"); got != tt.evidence {
				t.Errorf("got %q, want %q", got, tt.evidence)
			}
			command := "nft -a list chain inet filter mine   (on this host)"
			if tt.evidence != "" && (x.Confidence != track.Certain || x.Fix[0] != command) {
				t.Errorf("%v, fix %q", x.Confidence, x.Fix)
			}
		})
	}
}

// One cause that the namespace has as a whole is one finding, with the evidence of
// all, and what only follows from it is none.
func TestTwinsAreOne(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Facts)
		want   string
	}{
		{"blackhole", func(f *Facts) {
			fellBack(f, "MPCapableSYNTXDrop")
			f.Blackholed = []Flow{{Remote: server}}
		}, "D33/fail/certain"},
		{"damage", func(f *Facts) {
			setCounters(&f.MPTCP, nil, map[string]uint64{"DataCsumErr": 1, "DssFallback": 1})
		}, "D39/fail/certain"},
		{"memory", func(f *Facts) {
			fellBack(f, "MPFallbackTokenInit")
			setCounters(&f.MPTCP, map[string]uint64{"MPFallbackTokenInit": 1}, map[string]uint64{"MPFallbackTokenInit": 1})
		}, "D46/warn/likely"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			tt.change(f)
			r := Diagnose(*f)
			if got := ids(r); got != tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if f.Connections[0].Fallback {
				if !strings.Contains(strings.Join(r.Findings[0].Evidence, "\n"), "connection 00000001: fallback") {
					t.Errorf("evidence %q", r.Findings[0].Evidence)
				}
				if r.Connections[0].Verdict == Healthy {
					t.Error("the connection is healthy")
				}
			}
		})
	}
}

// A server's own firewall is judged for the packets that are still to come: joins to an
// address that it announces, and handshakes with its programs.
func TestFirewallStopsArrivals(t *testing.T) {
	for _, tt := range []struct {
		name     string
		firewall *firewall.Firewall
		change   func(*Facts)
		want     string
	}{
		{"joins in", filter(firewall.HookInput, exthdr(false, 1)), nil, "D35/warn/certain"},
		{"their answers", filter(firewall.HookOutput, exthdr(false, 1)), nil, "D35/warn/certain"},
		{"not announced", filter(firewall.HookInput, exthdr(false, 1)), func(f *Facts) { f.Endpoints[0].Flags = mptcp.FlagSubflow }, ""},
		{"handshakes", filter(firewall.HookPrerouting, exthdr(true, 0)), func(f *Facts) { f.Endpoints = nil }, "D07/warn/certain"},
		{"joins in up to a limit", filter(firewall.HookInput, append([]firewall.Expression{{Name: "limit"}}, exthdr(false, 1)...)), nil, ""},
		{"data", filter(firewall.HookInput, exthdr(false, 2)), nil, ""},
		{"nobody listens", filter(firewall.HookPrerouting, exthdr(true, 0)), func(f *Facts) { f.Endpoints, f.Listeners = nil, []Listener{} }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			f.Firewall = tt.firewall
			f.Connections = nil
			f.Listeners = []Listener{{Local: netip.MustParseAddrPort("0.0.0.0:443"), Inode: 7}}
			f.Endpoints = []mptcp.Endpoint{{ID: 1, Address: f.Network.Addresses[len(f.Network.Addresses)-1].Addr, Flags: mptcp.FlagSignal}}
			if tt.change != nil {
				tt.change(f)
			}
			r := Diagnose(*f)
			if got := ids(r); got != tt.want {
				t.Errorf("got %q, want %q: %+v", got, tt.want, r.Findings)
			}
		})
	}
}

// A SYN whose answer this host may reset, because it comes in by another device than its
// socket is bound to, is not blamed on a firewall alone.
func TestAnsweredElsewhere(t *testing.T) {
	for _, tt := range []struct {
		resets uint64
		bound  bool
		want   bool
	}{{5, true, true}, {1, true, false}, {5, false, false}} {
		f := healthy(t)
		s := pend(f)
		s.Bound, s.Device = tt.bound, "wlan0"
		setCounters(&f.TCPBase, map[string]uint64{"OutRsts": tt.resets}, nil)
		r := Diagnose(*f)
		told := len(r.Findings) > 0 && strings.Contains(strings.Join(r.Findings[0].Evidence, "\n"), "by another device than wlan0")
		if told != tt.want {
			t.Errorf("%d resets, bound %t: %+v", tt.resets, tt.bound, r.Findings)
		}
	}
}
