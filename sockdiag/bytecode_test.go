package sockdiag

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// run is the kernel's interpreter (inet_diag_bc_run), for a socket as it sees it.
func run(t *testing.T, code []byte, s *Socket) bool {
	t.Helper()
	ne := binary.NativeEndian
	at := 0
	for at < len(code) {
		op, yes, no := code[at], int(code[at+1]), int(ne.Uint16(code[at+2:]))
		holds := true
		argument := func() uint16 { return ne.Uint16(code[at+6:]) }
		switch op {
		case uapi.InetDiagBcJmp:
			holds = false
		case uapi.InetDiagBcSGe:
			holds = s.Local.Port() >= argument()
		case uapi.InetDiagBcSLe:
			holds = s.Local.Port() <= argument()
		case uapi.InetDiagBcDGe:
			holds = s.Remote.Port() >= argument()
		case uapi.InetDiagBcDLe:
			holds = s.Remote.Port() <= argument()
		case uapi.InetDiagBcSCond:
			holds = hostCondition(code[at+4:at+yes], s, s.Local.Addr())
		case uapi.InetDiagBcDCond:
			holds = hostCondition(code[at+4:at+yes], s, s.Remote.Addr())
		case uapi.InetDiagBcDevCond:
			holds = ne.Uint32(code[at+4:]) == s.IfIndex
		default:
			t.Fatalf("operation %d", op)
		}
		if holds {
			at += yes
		} else {
			at += no
		}
	}
	return at == len(code)
}

// hostCondition evaluates a struct inet_diag_hostcond.
func hostCondition(c []byte, s *Socket, a netip.Addr) bool {
	addr, _ := netip.AddrFromSlice(c[8:])
	if mptcp.Family(c[0]) == mptcp.FamilyINET6 {
		if s.Family != mptcp.FamilyINET6 {
			return false
		}
		raw := a.As16()
		return netip.PrefixFrom(addr, int(c[1])).Contains(netip.AddrFrom16(raw)) ||
			prefix16(raw, addr.As16(), int(c[1]))
	}
	return a.Is4() && netip.PrefixFrom(addr, int(c[1])).Contains(a)
}

// prefix16 compares bits, as the kernel does, where netip would tell mapped
// addresses apart.
func prefix16(a, b [16]byte, bits int) bool {
	for i := range bits {
		mask := byte(0x80) >> (i % 8)
		if (a[i/8]^b[i/8])&mask != 0 {
			return false
		}
	}
	return true
}

// audit is the kernel's check of a program (inet_diag_bc_audit): every jump lands
// on an operation, or at the end, or 4 bytes further.
func audit(t *testing.T, code []byte) {
	t.Helper()
	starts := map[int]bool{len(code): true, len(code) + 4: true}
	for at := 0; at < len(code); at += int(code[at+1]) {
		if code[at+1] < 4 || code[at+1]%4 != 0 {
			t.Fatalf("length %d at %d", code[at+1], at)
		}
		starts[at] = true
	}
	for at := 0; at < len(code); at += int(code[at+1]) {
		if target := at + int(binary.NativeEndian.Uint16(code[at+2:])); !starts[target] || target <= at {
			t.Fatalf("jump from %d to %d of %d", at, target, len(code))
		}
	}
}

// holds is what a Match means.
func (m *Match) holds(s *Socket) bool {
	in := func(p netip.Prefix, a netip.Addr) bool {
		if !p.IsValid() {
			return true
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Contains(a)
	}
	within := func(r PortRange, port uint16) bool {
		return port >= r.First && (r.Last == 0 || port <= r.Last)
	}
	return in(m.Local, s.Local.Addr()) && in(m.Remote, s.Remote.Addr()) &&
		within(m.LocalPorts, s.Local.Port()) && within(m.RemotePorts, s.Remote.Port()) &&
		(m.IfIndex == 0 || m.IfIndex == s.IfIndex)
}

// Few values make conditions that hold about as often as not.
func randomMatch(r *rand.Rand) Match {
	prefixes := []netip.Prefix{
		{}, {}, netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8::1/128"),
		netip.MustParsePrefix("::ffff:10.0.0.0/104"),
	}
	ports := []PortRange{{}, {}, Port(1), Port(2), {First: 2}, {Last: 2}, {First: 1, Last: 2}, {Last: 0xffff}}
	return Match{
		Local: prefixes[r.IntN(len(prefixes))], Remote: prefixes[r.IntN(len(prefixes))],
		LocalPorts: ports[r.IntN(len(ports))], RemotePorts: ports[r.IntN(len(ports))],
		IfIndex: []uint32{0, 0, 0, 1}[r.IntN(4)],
	}
}

func randomSocket(r *rand.Rand) Socket {
	s := Socket{Family: mptcp.FamilyINET, IfIndex: uint32(r.IntN(3))}
	addresses := []string{"10.0.0.1", "10.0.0.2", "11.0.0.1"}
	switch r.IntN(3) {
	case 1:
		s.Family, s.Mapped = mptcp.FamilyINET6, true
	case 2:
		s.Family = mptcp.FamilyINET6
		addresses = []string{"2001:db8::1", "2001:db8::2", "2001:db9::1"}
	}
	pick := func() netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addresses[r.IntN(len(addresses))]), uint16(1+r.IntN(3)))
	}
	s.Local, s.Remote = pick(), pick()
	return s
}

func FuzzBytecode(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		matches := make([]Match, r.IntN(5))
		for i := range matches {
			matches[i] = randomMatch(r)
		}
		code := appendBytecode(nil, matches)
		audit(t, code)
		for range 20 {
			s := randomSocket(r)
			want := len(matches) == 0
			for i := range matches {
				want = want || matches[i].holds(&s)
			}
			if got := run(t, code, &s); got != want {
				t.Fatalf("%+v on %+v: %v, want %v", matches, s, got, want)
			}
		}
	})
}
