package sockdiag

import (
	"encoding/binary"
	"net/netip"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// Match is a condition on the addresses of a socket, which the kernel evaluates. All its
// parts must hold; a part that is zero always holds.
type Match struct {
	Local       netip.Prefix // an IPv4 prefix also matches v4-mapped addresses; a v4-mapped one is taken as IPv4
	Remote      netip.Prefix
	LocalPorts  PortRange
	RemotePorts PortRange
	IfIndex     uint32 // bound to this device
}

// PortRange is a range of ports with both ends. The zero value holds all ports.
type PortRange struct {
	First uint16
	Last  uint16 // 0: no upper end
}

// Port returns the range that holds one port.
func Port(port uint16) PortRange { return PortRange{First: port, Last: port} }

// portOnly returns the unspecified address with this port.
func portOnly(port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.Addr{}, port) }

// bytecodeOp is a condition with its arguments, 4 bytes and more.
type bytecodeOp []byte

// appendBytecode appends the program that accepts a socket if one of the matches does. It
// appends nothing if all sockets match.
//
// An operation says how far to jump if it holds, and if it does not. A jump exactly to the
// end accepts the socket, a jump 4 bytes further rejects it (inet_diag_bc_run). The
// alternatives follow one another: a condition that fails jumps to the next alternative,
// and each alternative except the last ends with a jump to the end.
func appendBytecode(b []byte, matches []Match) []byte {
	alternatives := make([][]bytecodeOp, 0, len(matches))
	total := 0
	for i := range matches {
		ops := matches[i].ops()
		if len(ops) == 0 {
			return b // this one holds always
		}
		if i < len(matches)-1 {
			ops = append(ops, newOp(uapi.InetDiagBcJmp, nil))
		}
		for _, op := range ops {
			total += len(op)
		}
		alternatives = append(alternatives, ops)
	}
	offset := 0
	for i, ops := range alternatives {
		next := offset // where the next alternative starts, or beyond the end
		for _, op := range ops {
			next += len(op)
		}
		if i == len(alternatives)-1 {
			next = total + 4
		}
		for _, op := range ops {
			target := next
			if op[0] == uapi.InetDiagBcJmp {
				target = total
			}
			op[1] = uint8(len(op))
			binary.NativeEndian.PutUint16(op[2:], uint16(target-offset))
			b = append(b, op...)
			offset += len(op)
		}
	}
	return b
}

// ops returns the conditions that must all hold.
func (m *Match) ops() []bytecodeOp {
	var ops []bytecodeOp
	ops = appendPrefixOp(ops, uapi.InetDiagBcSCond, m.Local)
	ops = appendPrefixOp(ops, uapi.InetDiagBcDCond, m.Remote)
	ops = appendPortOps(ops, uapi.InetDiagBcSGe, uapi.InetDiagBcSLe, m.LocalPorts)
	ops = appendPortOps(ops, uapi.InetDiagBcDGe, uapi.InetDiagBcDLe, m.RemotePorts)
	if m.IfIndex != 0 {
		ops = append(ops, newOp(uapi.InetDiagBcDevCond, binary.NativeEndian.AppendUint32(nil, m.IfIndex)))
	}
	return ops
}

// newOp returns an operation whose jumps are not set yet.
func newOp(code uint8, args []byte) bytecodeOp {
	return append(bytecodeOp{code, 0, 0, 0}, args...)
}

// appendPrefixOp appends the condition with a struct inet_diag_hostcond.
func appendPrefixOp(ops []bytecodeOp, code uint8, p netip.Prefix) []bytecodeOp {
	if !p.IsValid() {
		return ops
	}
	addr, bits := p.Addr(), p.Bits()
	if addr.Is4In6() && bits >= 96 {
		addr, bits = addr.Unmap(), bits-96
	}
	args := []byte{uint8(mptcp.FamilyOf(addr)), uint8(bits), 0, 0}
	args = binary.NativeEndian.AppendUint32(args, 0xffffffff) // port -1: any
	return append(ops, newOp(code, append(args, addr.AsSlice()...)))
}

// appendPortOps appends the conditions for a range: each is followed by an
// operation that only holds the port.
func appendPortOps(ops []bytecodeOp, atLeast, atMost uint8, r PortRange) []bytecodeOp {
	port := func(code uint8, port uint16) bytecodeOp {
		return newOp(code, binary.NativeEndian.AppendUint16([]byte{uapi.InetDiagBcNop, 0}, port))
	}
	if r.First != 0 {
		ops = append(ops, port(atLeast, r.First))
	}
	if r.Last != 0 && r.Last != 0xffff {
		ops = append(ops, port(atMost, r.Last))
	}
	return ops
}
