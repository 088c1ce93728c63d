package hostnet

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// network reads a network from lines of words: "link 2 eth0 up", "addr 2
// 10.0.0.2/24 deprecated", "route 10.0.0.0/24 dev 2 via … metric … table …".
func network(t *testing.T, text string) Network {
	t.Helper()
	var n Network
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "link":
			n.Links = append(n.Links, Link{
				Index: number(t, f[1]), Name: f[2],
				Up:       !slices.Contains(f, "down"),
				Carrier:  !slices.Contains(f, "down") && !slices.Contains(f, "unplugged"),
				Loopback: f[2] == "lo",
			})
		case "addr":
			p := netip.MustParsePrefix(f[2])
			a := Address{IfIndex: number(t, f[1]), Addr: p.Addr(), Prefix: p.Masked(), Scope: "global"}
			for _, word := range f[3:] {
				switch word {
				case "tentative":
					a.Tentative = true
				case "dadfailed":
					a.DADFailed = true
				case "deprecated":
					a.Deprecated = true
				default:
					a.Scope = word
				}
			}
			n.Addresses = append(n.Addresses, a)
		case "route":
			r := Route{Dst: netip.MustParsePrefix(f[1]), Table: TableMain, Type: "unicast"}
			for i := 2; i+1 < len(f); i += 2 {
				switch f[i] {
				case "dev":
					r.IfIndex = number(t, f[i+1])
				case "via":
					r.Gateway = netip.MustParseAddr(f[i+1])
				case "metric":
					r.Metric = number(t, f[i+1])
				case "table":
					r.Table = number(t, f[i+1])
				case "from":
					r.Source = netip.MustParseAddr(f[i+1])
				case "type":
					r.Type = f[i+1]
				}
			}
			n.Routes = append(n.Routes, r)
		default:
			t.Fatalf("unknown line %q", line)
		}
	}
	return n
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// lookupIn answers lookups as the kernel does: a table by source address, then
// the main table; with a device and no route by it, the destination is taken to
// be on the link.
func lookupIn(n Network, tables map[string]int) LookupFunc {
	return func(q LookupRequest) (Route, error) {
		order := []int{TableMain}
		if table, ok := tables[q.Src.String()]; ok {
			order = []int{table, TableMain}
		}
		for _, table := range order {
			if r, ok := BestRoute(n.Routes, table, q.OIF, q.Dst); ok {
				if !r.Forwards() {
					return Route{}, syscall.EHOSTUNREACH
				}
				metric := r.Metric
				if r.Dst.Addr().Is4() {
					metric = 0
				}
				return Route{
					Dst:     r.Dst,
					Gateway: r.Gateway,
					IfIndex: r.IfIndex,
					Source:  r.Source,
					Table:   table,
					Type:    "unicast",
					Metric:  metric,
				}, nil
			}
		}
		if q.OIF != 0 && q.Dst.Is4() {
			return Route{IfIndex: q.OIF, Table: TableMain, Type: "unicast"}, nil
		}
		return Route{}, syscall.ENETUNREACH
	}
}

// describe puts what a test compares of a path into a line.
func describe(p Path) string {
	s := fmt.Sprintf("%s %s metric %d", p.Address, p.Device, p.Metric)
	for word, set := range map[string]bool{"initial": p.Initial, "ownlink": p.OwnLink, "sharesdev": p.SharesDevice} {
		if set {
			s += " " + word
		}
	}
	words := strings.Fields(s)
	slices.Sort(words[4:])
	s = strings.Join(words, " ")
	if p.Gateway.IsValid() {
		s += " via " + p.Gateway.String()
	}
	if len(p.SharesPrefixWith) > 0 {
		s += " shares " + strings.Join(p.SharesPrefixWith, ",")
	}
	if p.Problem != "" {
		s += ": " + string(p.Problem)
	}
	return s
}

func TestCandidates(t *testing.T) {
	two := `
		link 1 lo
		link 2 eth0
		link 3 wlan0
		addr 1 127.0.0.1/8 host
		addr 2 10.1.0.2/24
		addr 3 10.2.0.2/24
		route 10.1.0.0/24 dev 2 from 10.1.0.2
		route 10.2.0.0/24 dev 3 from 10.2.0.2
		route 0.0.0.0/0 dev 2 via 10.1.0.1 metric 100 from 10.1.0.2
	`
	for _, tt := range []struct {
		name    string
		network string
		tables  map[string]int
		to      string
		want    []string
		assumed string
	}{
		{
			name: "Red Hat's procedure: two links in one subnet",
			network: `
				link 1 lo
				link 2 enp1s0
				link 3 wlp1s0
				addr 1 127.0.0.1/8 host
				addr 2 192.0.2.2/24
				addr 3 192.0.2.3/24
				route 192.0.2.0/24 dev 2 metric 100 from 192.0.2.2
				route 192.0.2.0/24 dev 3 metric 600 from 192.0.2.3`,
			to: "192.0.2.1",
			want: []string{
				"192.0.2.2 enp1s0 metric 100 initial ownlink shares wlp1s0",
				"192.0.2.3 wlp1s0 metric 600 shares enp1s0",
				"127.0.0.1 lo metric 0: loopback address",
			},
		},
		{
			name: "no route by the second link", network: two, to: "203.0.113.1",
			want: []string{
				"10.1.0.2 eth0 metric 100 initial ownlink via 10.1.0.1",
				"127.0.0.1 lo metric 0: loopback address",
				"10.2.0.2 wlan0 metric 0: no gateway on this device: the kernel would look for the destination on " +
					"the link itself",
			},
		},
		{
			name:    "second default route with a greater metric",
			network: two + "route 0.0.0.0/0 dev 3 via 10.2.0.1 metric 600",
			assumed: "203.0.113.1",
			want: []string{
				"10.1.0.2 eth0 metric 100 initial ownlink via 10.1.0.1",
				"10.2.0.2 wlan0 metric 600 via 10.2.0.1",
				"127.0.0.1 lo metric 0: loopback address",
			},
		},
		{
			name: "rule by source", network: two + "route 0.0.0.0/0 dev 3 via 10.2.0.1 table 100",
			tables: map[string]int{"10.2.0.2": 100}, to: "203.0.113.1",
			want: []string{
				"10.1.0.2 eth0 metric 100 initial ownlink via 10.1.0.1",
				"10.2.0.2 wlan0 metric 0 ownlink via 10.2.0.1",
				"127.0.0.1 lo metric 0: loopback address",
			},
		},
		{
			name: "second link down, third without carrier, more on the first",
			network: `
				link 2 eth0
				link 3 wlan0 down
				link 4 wwan0 unplugged
				addr 2 10.1.0.2/24
				addr 2 10.1.0.3/24 deprecated
				addr 3 10.2.0.2/24
				addr 4 10.3.0.2/24
				route 10.1.0.0/24 dev 2 from 10.1.0.2`,
			to: "10.1.0.1",
			want: []string{
				"10.1.0.2 eth0 metric 0 initial ownlink",
				"10.1.0.3 eth0 metric 0 ownlink sharesdev",
				"10.2.0.2 wlan0 metric 0: link is down",
				"10.3.0.2 wwan0 metric 0: link has no carrier",
			},
		},
		{
			name: "IPv6 and its states",
			network: `
				link 2 eth0
				addr 2 10.1.0.2/24
				addr 2 2001:db8:1::2/64
				addr 2 2001:db8:1::3/64 tentative
				addr 2 2001:db8:1::4/64 tentative dadfailed
				addr 2 fe80::2/64 link
				route ::/0 dev 2 via fe80::1 metric 1024 from 2001:db8:1::2`,
			to: "2001:4860::1",
			want: []string{
				"2001:db8:1::2 eth0 metric 1024 initial ownlink via fe80::1",
				"10.1.0.2 eth0 metric 0: other address family than the destination",
				"2001:db8:1::3 eth0 metric 0 sharesdev: address is tentative: duplicate address detection is not " +
					"finished",
				"2001:db8:1::4 eth0 metric 0 sharesdev: another host has this address",
				"fe80::2 eth0 metric 0 sharesdev: link-local address",
			},
		},
		{
			name: "v4-mapped destination is IPv4", network: two, to: "::ffff:10.1.0.9",
			want: []string{
				"10.1.0.2 eth0 metric 0 initial ownlink",
				"127.0.0.1 lo metric 0: loopback address",
				"10.2.0.2 wlan0 metric 0: no gateway on this device: the kernel would look for the destination on " +
					"the link itself",
			},
		},
		{
			name: "the host's own address is on lo",
			network: `
				link 1 lo
				link 2 eth0
				addr 1 10.0.0.1/32
				addr 2 10.1.0.2/24
				route 0.0.0.0/0 dev 2 via 10.1.0.1 metric 20 from 10.0.0.1`,
			to: "203.0.113.1",
			want: []string{
				"10.0.0.1 lo metric 20 initial via 10.1.0.1",
				"10.1.0.2 eth0 metric 20 ownlink via 10.1.0.1",
			},
		},
		{
			name: "no default route, no destination", network: "link 2 eth0\naddr 2 10.1.0.2/24\nroute 10.1.0.0/24 " +
				"dev 2",
			want: []string{"10.1.0.2 eth0 metric 0: no default route: name a destination"},
		},
		{
			name: "destination refused", network: two + "route 203.0.113.0/24 type unreachable", to: "203.0.113.1",
			want: []string{
				"127.0.0.1 lo metric 0: loopback address",
				"10.1.0.2 eth0 metric 0: no route to the destination through this device",
				"10.2.0.2 wlan0 metric 0: no route to the destination through this device",
			},
		},
		{
			name: "the destination is this host", network: two, to: "10.2.0.2",
			want: []string{
				"10.2.0.2 wlan0 metric 0 initial: the destination is this host",
				"127.0.0.1 lo metric 0: loopback address",
				"10.1.0.2 eth0 metric 0: the destination is this host",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := network(t, tt.network)
			var dst netip.Addr
			if tt.to != "" {
				dst = netip.MustParseAddr(tt.to)
			}
			report := Candidates(n, dst, lookupIn(n, tt.tables))
			var got []string
			for _, p := range report.Paths {
				got = append(got, describe(p))
				if p.Usable != (p.Problem == "") {
					t.Errorf("%s: usable %v", describe(p), p.Usable)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			if tt.assumed != "" {
				d := report.Destinations[0]
				if !d.Assumed || d.Address.String() != tt.assumed {
					t.Errorf("destination %+v", d)
				}
			}
			if _, err := json.Marshal(report); err != nil {
				t.Error(err)
			}
		})
	}
}

// The address that stands for the default route must be one that nothing else
// leads to.
func TestBeyondDefault(t *testing.T) {
	n := network(t, `
		route 0.0.0.0/0 dev 2 via 10.0.0.1
		route 203.0.113.0/24 dev 3
		route 198.51.100.0/24 dev 3`)
	report := Candidates(n, netip.Addr{}, lookupIn(n, nil))
	if len(report.Destinations) != 1 || report.Destinations[0].Address.String() != "192.0.2.1" {
		t.Errorf("%+v", report.Destinations)
	}
}

func TestBestRoute(t *testing.T) {
	n := network(t, `
		route 0.0.0.0/0 dev 2 via 10.1.0.1 metric 100
		route 0.0.0.0/0 dev 3 via 10.2.0.1 metric 50
		route 10.9.0.0/16 dev 3 metric 900
		route 10.9.0.0/16 dev 4 metric 5 table 7`)
	for _, tt := range []struct {
		table, dev int
		dst        string
		want       int // ifindex, 0 for none
	}{
		{TableMain, 0, "203.0.113.1", 3},
		{TableMain, 2, "203.0.113.1", 2},
		{TableMain, 0, "10.9.1.1", 3},
		{TableMain, 2, "10.9.1.1", 2},
		{7, 0, "10.9.1.1", 4},
		{7, 0, "203.0.113.1", 0},
		{TableMain, 5, "203.0.113.1", 0},
		{TableMain, 0, "2001:db8::1", 0},
	} {
		r, ok := BestRoute(n.Routes, tt.table, tt.dev, netip.MustParseAddr(tt.dst))
		if r.IfIndex != tt.want || ok != (tt.want != 0) {
			t.Errorf("%+v: by %d, %v", tt, r.IfIndex, ok)
		}
	}
}

// Whatever the network is: each address is judged once, and each verdict has a
// reason.
func TestCandidatesOfAnyNetwork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := Network{}
		index := rapid.IntRange(1, 4)
		for i := range rapid.IntRange(0, 4).Draw(t, "links") {
			n.Links = append(
				n.Links,
				Link{
					Index:   i + 1,
					Name:    fmt.Sprintf("eth%d", i),
					Up:      rapid.Bool().Draw(t, "up"),
					Carrier: rapid.Bool().Draw(t, "carrier"),
				},
			)
		}
		address := rapid.Custom(func(t *rapid.T) netip.Addr {
			octet := rapid.ByteRange(0, 3)
			return netip.AddrFrom4([4]byte{10, octet.Draw(t, "net"), 0, octet.Draw(t, "host")})
		})
		for range rapid.IntRange(0, 6).Draw(t, "addresses") {
			p := netip.PrefixFrom(address.Draw(t, "address"), rapid.SampledFrom([]int{8, 24, 32}).Draw(t, "bits"))
			n.Addresses = append(
				n.Addresses,
				Address{Addr: p.Addr(), Prefix: p.Masked(), IfIndex: index.Draw(t, "dev"), Scope: "global"},
			)
		}
		for range rapid.IntRange(0, 6).Draw(t, "routes") {
			p := netip.PrefixFrom(address.Draw(t, "dst"), rapid.SampledFrom([]int{0, 8, 24}).Draw(t, "bits"))
			r := Route{
				Dst:     p.Masked(),
				IfIndex: index.Draw(t, "oif"),
				Table:   TableMain,
				Type:    "unicast",
				Source:  address.Draw(t, "src"),
				Metric:  rapid.IntRange(0, 3).Draw(t, "metric"),
			}
			if rapid.Bool().Draw(t, "gateway") {
				r.Gateway = address.Draw(t, "via")
			}
			n.Routes = append(n.Routes, r)
		}
		var dst netip.Addr
		if rapid.Bool().Draw(t, "named") {
			dst = address.Draw(t, "to")
		}
		report := Candidates(n, dst, lookupIn(n, nil))
		if len(report.Paths) != len(n.Addresses) {
			t.Fatalf("%d addresses, %d paths", len(n.Addresses), len(report.Paths))
		}
		for i, p := range report.Paths {
			l, _ := n.LinkByIndex(p.IfIndex)
			switch {
			case p.Usable != (p.Problem == ""):
				t.Fatalf("usable %v and %q", p.Usable, p.Problem)
			case p.Usable && (!l.Usable() || !p.Destination.IsValid()):
				t.Fatalf("usable by link %+v to %v", l, p.Destination)
			case i > 0 && p.Initial && !report.Paths[i-1].Initial:
				t.Fatal("the initial subflow's address does not come first")
			}
		}
	})
}
