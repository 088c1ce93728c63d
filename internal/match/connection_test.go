package match_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/internal/match"
	"mptcpctl/mptcp"
)

var at = netip.MustParseAddrPort

// both returns the two ends of a connection with a pair, and a join made by the client.
func both(n uint64, client, server string) (one, other mptcp.Connection) {
	token := mptcp.Token(2*n + 1)
	one = mptcp.Connection{
		Token: token, Pair: mptcp.NewPair(n, n<<32), Side: mptcp.SideClient, Local: at(client), Remote: at(server),
		Subflows: []mptcp.Subflow{{Local: at(client), Remote: at(server), Initial: true}},
	}
	other = mptcp.Connection{
		Token: token + 1, Pair: one.Pair, Side: mptcp.SideServer, Local: at(server), Remote: at(client),
		Subflows: []mptcp.Subflow{{Local: at(server), Remote: at(client), Initial: true}},
	}
	return one, other
}

func TestConnections(t *testing.T) {
	const client, server = "10.0.1.2:40000", "10.9.0.1:443"
	for _, test := range []struct {
		name   string
		change func(one, other *mptcp.Connection)
		want   match.By
	}{
		{"plain", func(_, _ *mptcp.Connection) {}, match.Pair},
		{"behind NAT", func(_, o *mptcp.Connection) { o.Remote = at("198.51.100.1:1024") }, match.Pair},
		{"one end tells no pair", func(_, o *mptcp.Connection) { o.Pair = mptcp.Pair{} }, match.Addresses},
		{"v4-mapped at one end", func(c, o *mptcp.Connection) {
			o.Pair = mptcp.Pair{}
			o.Local, o.Remote = at("[::ffff:10.9.0.1]:443"), at("[::ffff:10.0.1.2]:40000")
			o.Subflows = nil
		}, match.Addresses},
		{"link-local, each end with its own zone", func(c, o *mptcp.Connection) {
			c.Pair, c.Subflows, o.Subflows = mptcp.Pair{}, nil, nil
			c.Local, c.Remote = at("[fe80::1%eth0]:1"), at("[fe80::2%eth0]:2")
			o.Local, o.Remote = at("[fe80::2%wan]:2"), at("[fe80::1%wan]:1")
		}, match.Addresses},
		{"no pair, behind NAT, a join made by the client", func(c, o *mptcp.Connection) {
			c.Pair = mptcp.Pair{}
			o.Remote, o.Subflows[0].Remote = at("198.51.100.1:1024"), at("198.51.100.1:1024")
			c.Subflows = append(c.Subflows, mptcp.Subflow{TokenRemote: o.Token})
		}, match.Token},
		{"a join made by the server", func(c, o *mptcp.Connection) {
			o.Pair, c.Remote, c.Subflows = mptcp.Pair{}, at("203.0.113.1:80"), nil
			o.Subflows = append(o.Subflows, mptcp.Subflow{TokenRemote: c.Token})
		}, match.Token},
		{"only a joined subflow has the same addresses", func(c, o *mptcp.Connection) {
			c.Pair, c.Subflows, o.Subflows = mptcp.Pair{}, nil, nil
			c.Remote = at("203.0.113.1:80") // NAT
			c.Subflows = []mptcp.Subflow{{Local: at("10.0.2.2:5"), Remote: at("10.9.0.1:443")}}
			o.Subflows = []mptcp.Subflow{{Local: at("10.9.0.1:443"), Remote: at("10.0.2.2:5")}}
		}, match.Addresses},
		{"no pair, behind NAT", func(c, o *mptcp.Connection) {
			c.Pair, o.Subflows, o.Remote = mptcp.Pair{}, nil, at("198.51.100.1:1024")
		}, 0},
		{"another pair on the same addresses: not the same connection", func(_, o *mptcp.Connection) {
			o.Pair = mptcp.NewPair(7, 8)
		}, 0},
		{"another pair, torn, and yet token and addresses", func(c, o *mptcp.Connection) {
			o.Pair = mptcp.NewPair(7, 8)
			c.Subflows = append(c.Subflows, mptcp.Subflow{TokenRemote: o.Token})
		}, match.Token},
		{"another pair, and the same token by chance", func(c, o *mptcp.Connection) {
			o.Pair, o.Remote, o.Subflows = mptcp.NewPair(7, 8), at("192.0.2.1:9"), nil
			c.Subflows = append(c.Subflows, mptcp.Subflow{TokenRemote: o.Token})
		}, 0},
		{"both are clients", func(_, o *mptcp.Connection) { o.Side = mptcp.SideClient }, 0},
		{"nobody knows the sides", func(c, o *mptcp.Connection) {
			c.Side, o.Side = mptcp.SideUnknown, mptcp.SideUnknown
		}, match.Pair},
		{"loopback addresses are each host's own", func(c, o *mptcp.Connection) {
			c.Pair, c.Subflows, o.Subflows = mptcp.Pair{}, nil, nil
			c.Local, c.Remote, o.Local, o.Remote = at("127.0.0.1:1"), at("127.0.0.1:2"), at("127.0.0.1:2"), at("127.0.0.1:1")
		}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			one, other := both(77, client, server)
			test.change(&one, &other)
			for _, ends := range []match.Ends{
				match.Connections([]mptcp.Connection{one}, []mptcp.Connection{other}),
				match.Connections([]mptcp.Connection{other}, []mptcp.Connection{one}),
			} {
				switch {
				case test.want == 0 && (len(ends.Both) != 0 || len(ends.OnlyHere) != 1 || len(ends.OnlyThere) != 1):
					t.Errorf("got %+v", ends)
				case test.want != 0 && (len(ends.Both) != 1 || ends.Both[0].By != test.want):
					t.Errorf("got %+v, want by %v", ends, test.want)
				}
			}
		})
	}
}

// What two connections of a host fit is matched by neither, unless the pair decides.
func TestSeveralFit(t *testing.T) {
	one, other := both(1, "10.0.1.2:40000", "10.9.0.1:443")
	again, _ := both(2, "10.0.1.2:40000", "10.9.0.1:443") // in another network namespace
	again.Netns = "blue"
	ends := match.Connections([]mptcp.Connection{again, one}, []mptcp.Connection{other})
	if want := []match.Match{{Here: 1, By: match.Pair}}; !slices.Equal(ends.Both, want) || ends.OnlyHere[0] != 0 {
		t.Errorf("got %+v", ends)
	}
	other.Pair = mptcp.Pair{}
	if ends := match.Connections([]mptcp.Connection{again, one}, []mptcp.Connection{other}); len(ends.Both) > 0 {
		t.Errorf("without a pair: %+v", ends)
	}
	// Both ends on one host: not between the hosts.
	one, other = both(3, "10.0.1.2:40000", "10.0.1.2:443")
	ends = match.Connections([]mptcp.Connection{one, other}, []mptcp.Connection{again})
	if len(ends.Both) > 0 || len(ends.OnlyHere) != 2 {
		t.Errorf("within a host: %+v", ends)
	}
}

// Of many connections of two hosts, with NAT, both families, equal ports in several
// namespaces, some that only one host saw, and some without a pair: each that both saw is
// matched, and none wrongly.
func TestMany(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 1))
	const n = 20_000
	var here, there []mptcp.Connection
	twin := map[mptcp.Token]mptcp.Token{}
	for i := range uint64(n) {
		client := fmt.Sprintf("10.%d.1.2:%d", i%4, 1024+i/4) // four namespaces with the same ports
		server := "10.200.0.1:443"
		if i%5 == 0 {
			client, server = fmt.Sprintf("[2001:db8::%x]:%d", i%3, 1024+i), "[2001:db8::1:1]:443"
		}
		one, other := both(i+1, client, server)
		one.Pair = mptcp.NewPair(random.Uint64(), random.Uint64())
		other.Pair = one.Pair
		one.Local = netip.AddrPortFrom(netip.MustParseAddr("192.168.0.2"), uint16(1024+i/4)) // behind NAT
		if i%7 == 0 {                                                                        // no pair at the server: the join's token decides
			other.Pair = mptcp.Pair{}
			one.Subflows = append(one.Subflows, mptcp.Subflow{TokenRemote: other.Token})
		}
		if i%11 != 3 {
			here = append(here, one)
		}
		if i%13 != 4 {
			there = append(there, other)
		}
		if i%11 != 3 && i%13 != 4 {
			twin[one.Token] = other.Token
		}
	}
	random.Shuffle(len(there), func(i, j int) { there[i], there[j] = there[j], there[i] })
	ends := match.Connections(here, there)
	if len(ends.Both) != len(twin) {
		t.Errorf("%d matched of %d", len(ends.Both), len(twin))
	}
	for _, m := range ends.Both {
		if twin[here[m.Here].Token] != there[m.There].Token {
			t.Fatalf("%+v is no match", m)
		}
	}
	if len(ends.Both)+len(ends.OnlyHere) != len(here) || len(ends.Both)+len(ends.OnlyThere) != len(there) {
		t.Error("a connection is lost or comes twice")
	}
}

func TestSubflows(t *testing.T) {
	one, other := both(5, "10.0.1.2:40000", "10.9.0.1:443")
	up := mptcp.SubflowEstablished
	// Through NAT, matched by ids; a closed one has the same ids as its successor.
	one.Subflows = append(one.Subflows,
		mptcp.Subflow{Local: at("10.0.2.2:1"), Remote: at("10.9.0.1:443"), LocalID: 2, State: mptcp.SubflowClosed},
		mptcp.Subflow{Local: at("10.0.2.2:2"), Remote: at("10.9.0.1:443"), LocalID: 2, State: up},
		mptcp.Subflow{Local: at("10.0.3.2:3"), Remote: at("10.9.0.1:443"), LocalID: 3, State: up})
	other.Subflows = append(other.Subflows,
		mptcp.Subflow{Local: at("10.9.0.1:443"), Remote: at("198.51.100.1:9"), RemoteID: 2, State: up},
		mptcp.Subflow{Local: at("10.9.0.1:443"), Remote: at("198.51.100.1:8"), RemoteID: 4, State: up})
	ends := match.Subflows(&one, &other)
	want := []match.Match{{Here: 0, There: 0, By: match.Addresses}, {Here: 2, There: 1, By: match.IDs}}
	if !slices.Equal(ends.Both, want) || !slices.Equal(ends.OnlyHere, []int{1, 3}) ||
		!slices.Equal(ends.OnlyThere, []int{2}) {
		t.Errorf("got %+v", ends)
	}
}

// Whatever two lists hold: each place is in the answer once, what pairs say is never
// contradicted by addresses, and the other way round the answer is the same.
func FuzzConnections(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, []byte{1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		here, there := made(a), made(b)
		ends := match.Connections(here, there)
		back := match.Connections(there, here)
		turned := map[[2]int]match.By{}
		for _, m := range back.Both {
			turned[[2]int{m.There, m.Here}] = m.By
		}
		if len(turned) != len(ends.Both) || len(ends.Both)+len(ends.OnlyHere) != len(here) ||
			len(ends.Both)+len(ends.OnlyThere) != len(there) {
			t.Fatalf("%+v, the other way round %+v", ends, back)
		}
		for _, m := range ends.Both {
			c, o := here[m.Here], there[m.There]
			if turned[[2]int{m.Here, m.There}] != m.By {
				t.Fatalf("%+v, the other way round %+v", ends, back)
			}
			if m.By == match.Addresses && !c.Pair.IsZero() && !o.Pair.IsZero() && c.Pair != o.Pair {
				t.Fatalf("%+v: pairs %v and %v", m, c.Pair, o.Pair)
			}
		}
	})
}

// made makes connections of bytes, six each, so that much is equal.
func made(b []byte) (list []mptcp.Connection) {
	for ; len(b) >= 6; b = b[6:] {
		c := mptcp.Connection{
			Token: mptcp.Token(b[0] % 8), Side: mptcp.Side(b[1] % 3),
			Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, b[2] % 4}), 443),
			Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, b[3] % 4}), 443),
		}
		if b[4]%2 == 0 {
			c.Pair = mptcp.NewPair(uint64(b[4]%8), binary.BigEndian.Uint64(make([]byte, 8)))
		}
		if b[5]%2 == 0 {
			c.Subflows = []mptcp.Subflow{{TokenRemote: mptcp.Token(b[5] % 8)}}
		}
		list = append(list, c)
	}
	return list
}
