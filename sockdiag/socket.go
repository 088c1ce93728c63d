package sockdiag

import (
	"encoding/binary"
	"net/netip"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// Socket is what the kernel says about every socket (struct inet_diag_msg).
type Socket struct {
	Family  mptcp.Family      // of the socket: FamilyINET6 even if it speaks IPv4 (see Mapped)
	State   mptcp.SocketState //
	Timer   uint8             // which timer runs: 1 retransmission, 2 keepalive, 3 time-wait, 4 zero window probe
	Retrans uint8             // retransmissions, or probes, of that timer

	Local  netip.AddrPort // unmapped, without zone: IfIndex is the link of a link-local address
	Remote netip.AddrPort // unmapped, without zone
	Mapped bool           // an IPv6 socket that speaks IPv4: the kernel's addresses are ::ffff:a.b.c.d

	IfIndex uint32 // the device that the socket is bound to, 0 for none
	Cookie  uint64 // unique among the sockets of this boot; the one of SO_COOKIE

	ExpiresMS uint32 // until the timer fires
	// bytes to be read; of a listener the connections to be accepted; of a connection the memory,
	// in bytes, that received data takes, with what waits for data before it (sk_rmem_alloc)
	RecvQueue uint32
	// bytes not acknowledged; of a listener its backlog; of a connection memory (sk_wmem_alloc)
	SendQueue uint32
	UID       uint32 // owner
	Mark      uint32 // SO_MARK, if HasMark
	HasMark   bool   // whether the kernel sent the mark, as it does only to processes with CAP_NET_ADMIN
	Inode     uint32 // the same for a connection and its subflows; 0: not accepted yet, or closed by its process
}

// decodeSocket reads a struct inet_diag_msg. It reports whether b was long enough.
func decodeSocket(b []byte, s *Socket) bool {
	if len(b) < uapi.InetDiagMsgSize {
		return false
	}
	b = b[:uapi.InetDiagMsgSize]
	ne := binary.NativeEndian
	s.Mark, s.HasMark = 0, false
	s.Family = mptcp.Family(b[0])
	s.State = mptcp.SocketState(b[1])
	s.Timer = b[2]
	s.Retrans = b[3]
	var local, remote netip.Addr
	s.Mapped = false
	if s.Family == mptcp.FamilyINET6 {
		local = netip.AddrFrom16([16]byte(b[8:24]))
		remote = netip.AddrFrom16([16]byte(b[24:40]))
		if local.Is4In6() || remote.Is4In6() {
			s.Mapped = true
			local, remote = local.Unmap(), remote.Unmap()
		}
	} else {
		local = netip.AddrFrom4([4]byte(b[8:12]))
		remote = netip.AddrFrom4([4]byte(b[24:28]))
	}
	s.Local = netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[4:]))
	s.Remote = netip.AddrPortFrom(remote, binary.BigEndian.Uint16(b[6:]))
	s.IfIndex = ne.Uint32(b[40:])
	s.Cookie = uint64(ne.Uint32(b[44:])) | uint64(ne.Uint32(b[48:]))<<32
	s.ExpiresMS = ne.Uint32(b[52:])
	s.RecvQueue = ne.Uint32(b[56:])
	s.SendQueue = ne.Uint32(b[60:])
	s.UID = ne.Uint32(b[64:])
	s.Inode = ne.Uint32(b[68:])
	return true
}

// appendSockID appends the struct inet_diag_sockid that names the socket, 48
// bytes, with the addresses in the form that the kernel holds them.
func appendSockID(b []byte, s *Socket) []byte {
	b = binary.BigEndian.AppendUint16(b, s.Local.Port())
	b = binary.BigEndian.AppendUint16(b, s.Remote.Port())
	b = appendAddress(b, s, s.Local.Addr())
	b = appendAddress(b, s, s.Remote.Addr())
	b = binary.NativeEndian.AppendUint32(b, s.IfIndex)
	b = binary.NativeEndian.AppendUint32(b, uint32(s.Cookie))
	return binary.NativeEndian.AppendUint32(b, uint32(s.Cookie>>32))
}

// appendAddress appends an address of a struct inet_diag_sockid, 16 bytes.
func appendAddress(b []byte, s *Socket, a netip.Addr) []byte {
	var field [16]byte
	switch {
	case !a.IsValid():
	case s.Family == mptcp.FamilyINET6:
		field = a.As16() // maps an IPv4 address
	default:
		four := a.Unmap()
		if four.Is4() {
			copy(field[:], four.AsSlice())
		}
	}
	return append(b, field[:]...)
}

// String returns the local and the remote address, as error messages show them.
func (s *Socket) String() string { return s.Local.String() + " " + s.Remote.String() }

// decodeMark reads the attribute INET_DIAG_MARK.
func decodeMark(value []byte, s *Socket) {
	if len(value) >= 4 {
		s.Mark, s.HasMark = binary.NativeEndian.Uint32(value), true
	}
}
