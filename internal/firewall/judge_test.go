package firewall_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/internal/firewall"
)

// recorded returns a firewall as nft or iptables-nft made it and the kernel dumped it.
func recorded(t testing.TB, name string) *firewall.Firewall {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var f firewall.Firewall
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// packet makes one of "SYN", "SYN/ACK" or "ACK" with an MPTCP option of that
// subtype, none for a negative one.
func packet(from, to, device, flags string, subtype int) *firewall.Packet {
	source := netip.AddrPortFrom(netip.Addr{}, 1)
	if from != ":1" {
		source = netip.MustParseAddrPort(from)
	}
	p := &firewall.Packet{
		Source: source, Destination: netip.MustParseAddrPort(to), Device: device,
		Flags: map[string]byte{"SYN": firewall.FlagSYN, "SYN/ACK": firewall.FlagSYN | firewall.FlagACK, "ACK": firewall.FlagACK}[flags],
	}
	if device != "" {
		p.Index = map[string]int{"lo": 1, "eth0": 2, "eth1": 3, "eth2": 4}[device]
	}
	if subtype >= 0 {
		p.MPTCP = []byte{byte(subtype << 4)}
	}
	return p
}

func incoming(p *firewall.Packet) *firewall.Packet {
	p.Incoming = true
	return p
}

func marked(p *firewall.Packet, mark uint32) *firewall.Packet {
	p.Mark = firewall.Known[uint32]{Value: mark, Is: true}
	return p
}

func told(hits []firewall.Hit) string {
	var words []string
	for i := range hits {
		sure := "maybe "
		switch {
		case hits[i].Sure:
			sure = ""
		case hits[i].Limited:
			sure = "limited "
		}
		words = append(words, sure+string(hits[i].Deed)+" "+hits[i].String())
	}
	return strings.Join(words, "; ")
}

// The rules of the recordings do to packets what nft's own words for them say.
func TestJudge(t *testing.T) {
	const client, server = "10.0.1.2:40000", "10.0.1.1:443"
	const joins = 1
	for _, tt := range []struct {
		firewall, name string
		packet         *firewall.Packet
		want           string
	}{
		{"server", "established", incoming(packet(server, client, "eth0", "SYN/ACK", joins)), ""},
		{"server", "port in a set: not known", incoming(packet(client, server, "eth0", "SYN", 0)), ""},
		{"server", "loopback", incoming(packet(client, server, "lo", "SYN", 0)), ""},
		{"server", "another link", packet(client, server, "eth0", "SYN", joins), ""},
		{"server", "join", packet(client, server, "eth1", "SYN", joins), "drops inet filter second handle 14 (hook " +
			"output)"},
		{"server", "handshake", packet(client, server, "eth1", "SYN", 0), ""},
		{"server", "another network", packet(client, "10.0.2.1:443", "eth1", "SYN", joins), ""},
		{"server", "without MPTCP", packet(client, server, "eth1", "SYN", -1), ""},
		{"server", "unknown link", packet(client, server, "", "SYN", joins), "maybe drops inet filter second handle " +
			"14 (hook output)"},
		{"server", "range of ports", packet(client, "10.0.3.1:8443", "eth1", "SYN", joins), "rejects inet filter " +
			"second handle 15 (hook output)"},
		{"server", "goto", packet(client, "10.0.3.1:60001", "eth1", "SYN", joins), "drops inet filter third handle 18 (hook output)"},
		{"server", "goto, established", packet(client, "10.0.3.1:60001", "eth1", "ACK", 2), ""},
		{"server", "IPv6", packet("[2001:db8::2]:4", "[2001:db8::1]:8443", "eth1", "SYN", joins), "rejects inet filter second handle 15 (hook output)"},
		{"strip", "SYN", packet(client, server, "eth0", "SYN", 0), "takes MPTCP out of inet mangle out handle 3 " +
			"(hook postrouting)"},
		{"strip", "SYN elsewhere", packet(client, "10.0.9.1:443", "eth0", "SYN", 0), ""},
		{"strip", "data", packet(client, server, "eth0", "ACK", 2), ""},
		{"strip", "incoming SYN", incoming(packet(client, server, "eth0", "SYN", 0)), "drops inet mangle in handle 5 (hook prerouting)"},
		{"strip", "incoming SYN without", incoming(packet(client, server, "eth0", "SYN", -1)), ""},
		{"strip", "incoming answer", incoming(packet(server, client, "eth0", "SYN/ACK", 0)), ""},
		{"iptables", "by option", incoming(packet(client, server, "eth0", "SYN", 0)), "drops ip filter INPUT handle 2 (hook input)"},
		{"iptables", "another port", incoming(packet(client, "10.0.1.1:22", "eth0", "SYN", 0)), ""},
		{"iptables", "by the state of the connection", incoming(packet(client, "10.0.1.1:80", "eth0", "SYN", 0)), "rejects ip filter INPUT handle 5 (hook input)"},
		{"iptables", "another state", incoming(packet(client, "10.0.1.1:80", "eth0", "ACK", 2)), ""},
		{"iptables", "stripped", packet(client, server, "eth1", "SYN", joins), "takes MPTCP out of ip mangle " +
			"POSTROUTING handle 2 (hook postrouting)"},
		{"iptables", "not there", packet(client, server, "eth0", "SYN", joins), ""},
		{"iptables", "rejected", packet(client, "10.0.9.9:443", "eth0", "SYN", 0), "rejects ip filter OUTPUT handle 7 (hook output)"},
		{"iptables", "IPv6 passes", packet("[2001:db8::2]:4", "[2001:db8::1]:443", "eth1", "SYN", joins), ""},
		{"host", "verdict map", incoming(packet(client, server, "eth0", "ACK", 2)), ""},
		{"host", "loopback by its number", incoming(packet(client, "10.0.1.1:1", "lo", "SYN", 1)), ""},
		{"host", "in a set up to a limit, and in a set of pairs", incoming(packet(client, server, "eth0", "SYN", 1)), ""},
		{"host", "in the set up to a limit", incoming(packet("10.0.7.5:1", server, "eth0", "SYN", 1)), "limited drops inet filter input policy (hook input)"},
		{"host", "not in the set", incoming(packet("10.0.7.10:1", server, "eth0", "SYN", 1)), "drops inet filter input policy (hook input)"},
		{"host", "one pair", incoming(packet("10.0.2.1:1", "10.0.1.1:22", "eth0", "SYN", 1)), ""},
		{"host", "not a pair", incoming(packet("10.0.2.1:1", server, "eth0", "SYN", 1)), "drops inet filter input policy (hook input)"},
		{"host", "unknown source", incoming(packet(":1", server, "eth0", "SYN", 1)), ""},
		{"host", "too many connections", incoming(packet(client, "10.0.1.1:9000", "eth0", "SYN", 1)), "limited rejects inet filter input handle 11 (hook input)"},
		{"host", "rate", marked(packet(client, server, "eth1", "SYN", 1), 0), "limited drops inet filter output handle 13 (hook output)"},
		{"host", "mark", marked(packet(client, server, "eth2", "SYN", 1), 7), "rejects inet filter output handle 14 (hook output)"},
		{"host", "another mark", marked(packet(client, server, "eth2", "SYN", 1), 8), ""},
		{"host", "unknown mark", packet(client, server, "eth2", "SYN", 1), "maybe rejects inet filter output handle 14 (hook output)"},
		{"host", "ingress", incoming(packet("10.0.9.9:1", "10.0.1.1:8000", "eth0", "SYN/ACK", 1)), "drops netdev wire in handle 3 (hook ingress)"},
		{"host", "ingress of another device", incoming(packet("10.0.9.9:1", "10.0.1.1:8000", "eth1", "SYN/ACK", 1)), ""},
		{"host", "egress", marked(packet(client, "10.0.1.1:8001", "eth0", "SYN", 1), 0), "takes MPTCP out of netdev wire out handle 4 (hook egress)"},
	} {
		t.Run(tt.firewall+" "+tt.name, func(t *testing.T) {
			if got := told(recorded(t, tt.firewall).Judge(tt.packet)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// A policy to drop counts where no rule accepts.
func TestJudgePolicy(t *testing.T) {
	f := &firewall.Firewall{
		Chains: []firewall.Chain{{Family: "ip", Table: "t", Name: "c", Hook: firewall.HookOutput, Drops: true}},
	}
	if got, want := told(f.Judge(packet("10.0.0.1:1", "10.0.0.2:2", "eth0", "SYN", 1))), "drops ip t c policy (hook output)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := told(f.Judge(packet("[2001:db8::1]:1", "[2001:db8::2]:2", "eth0", "SYN", 1))); got != "" {
		t.Errorf("IPv6: %q", got)
	}
	var none *firewall.Firewall
	if got := none.Judge(packet("10.0.0.1:1", "10.0.0.2:2", "eth0", "SYN", 1)); got != nil {
		t.Errorf("no firewall: %v", got)
	}
}

// Chains that jump to each other end.
func TestJudgeEnds(t *testing.T) {
	jump := func(to string) firewall.Rule {
		attribute := func(kind byte, data ...byte) []byte {
			b := []byte{byte(4 + len(data)), 0, kind, 0} // of a little-endian machine, as the recordings are
			b = append(b, data...)
			return append(b, make([]byte, (4-len(b)%4)%4)...)
		}
		verdict := append(attribute(1, 0xff, 0xff, 0xff, 0xfd), attribute(2, append([]byte(to), 0)...)...)
		return firewall.Rule{Expressions: []firewall.Expression{{
			Name: "immediate", Data: append(attribute(1, 0, 0, 0, 0), attribute(2, attribute(2, verdict...)...)...),
		}}}
	}
	f := &firewall.Firewall{Chains: []firewall.Chain{
		{
			Family: "ip",
			Table:  "t",
			Name:   "a",
			Hook:   firewall.HookOutput,
			Rules:  []firewall.Rule{jump("b"), jump("b"), jump("b")},
		},
		{Family: "ip", Table: "t", Name: "b", Rules: []firewall.Rule{jump("a"), jump("a"), jump("a")}},
	}}
	if got := told(f.Judge(packet("10.0.0.1:1", "10.0.0.2:2", "eth0", "SYN", 1))); got != "" {
		t.Errorf("got %q", got)
	}
}

// Whatever a rule says, judging it ends, and a rule that takes nothing from the
// packet and decides nothing has no hit.
func FuzzJudge(f *testing.F) {
	for _, name := range []string{"server", "strip", "iptables", "host"} {
		for _, c := range recorded(f, name).Chains {
			for _, r := range c.Rules {
				for _, e := range r.Expressions {
					f.Add(e.Name, e.Data, "cmp", []byte{})
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte, name2 string, data2 []byte) {
		rule := firewall.Rule{
			Handle:      1,
			Expressions: []firewall.Expression{{Name: name, Data: data}, {Name: name2, Data: data2}},
		}
		whole := &firewall.Firewall{
			Chains: []firewall.Chain{
				{Family: "inet", Table: "t", Name: "c", Hook: firewall.HookOutput, Rules: []firewall.Rule{rule}},
			},
		}
		p := packet("10.0.1.2:40000", "10.0.1.1:443", "eth1", "SYN", 1)
		hits := whole.Judge(p)
		if again := whole.Judge(p); told(again) != told(hits) {
			t.Errorf("%q, then %q", told(hits), told(again))
		}
		decides := bytes.Contains([]byte(name+" "+name2), []byte("immediate")) ||
			strings.Contains(name+name2, "reject") ||
			strings.Contains(name+name2, "exthdr") ||
			strings.Contains(name+name2, "synproxy") ||
			strings.Contains(name+name2, "fwd") ||
			strings.Contains(name+name2, "target")
		if len(hits) > 0 && !decides {
			t.Errorf("%s, %s: %q", name, name2, told(hits))
		}
	})
}

// What a rule does to the answer of a packet depends on whether the packet was tracked.
func TestFollowAnswers(t *testing.T) {
	f := recorded(t, "host")
	for _, tt := range []struct{ port, want string }{
		{"5000", ""},
		{"7000", "drops inet filter input policy (hook input)"}, // its SYN is not tracked: the answer is invalid
	} {
		out := marked(packet("10.0.1.2:40000", "10.0.1.1:"+tt.port, "eth0", "SYN", 1), 0)
		back := incoming(packet("10.0.1.1:"+tt.port, "10.0.1.2:40000", "eth0", "SYN/ACK", 1))
		hits := f.Follow(out, back)
		if tt.want != "" && len(hits) == 1 && hits[0].Packet != 1 {
			t.Errorf("port %s: packet %d", tt.port, hits[0].Packet)
		}
		if tt.port == "7000" && len(hits) == 1 {
			hits[0].Handle = 0 // the rule of the map
		}
		if got := told(hits); got != tt.want {
			t.Errorf("port %s: got %q, want %q", tt.port, got, tt.want)
		}
	}
}
