package pathmanager

import (
	"net/netip"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// address is the content of a nested address of a request. Fields that are zero are left
// out, unless withID or withFlag asks for them.
type address struct {
	id       mptcp.AddressID
	withID   bool // send the id even if it is 0
	addr     netip.Addr
	port     uint16
	flags    mptcp.EndpointFlags
	withFlag bool // send the flags even if there are none
	ifIndex  int32
}

// of returns all fields of an endpoint.
func of(e mptcp.Endpoint) address {
	return address{id: e.ID, addr: e.Address, port: e.Port, flags: e.Flags, ifIndex: e.IfIndex}
}

// ofAddrPort returns an address and its port.
func ofAddrPort(a netip.AddrPort) address { return address{addr: a.Addr(), port: a.Port()} }

// append appends the address as the nested attribute typ. Unlike in events, the port is in
// the host's byte order here.
func (a address) append(b []byte, typ uint16) []byte {
	return nlmsg.AppendNested(b, typ, func(b []byte) []byte {
		if a.addr.IsValid() {
			b = nlmsg.AppendUint16(b, uapi.PMAddrAttrFamily, uint16(mptcp.FamilyOf(a.addr)))
			attr := uint16(uapi.PMAddrAttrAddr6)
			if a.addr.Is4() {
				attr = uapi.PMAddrAttrAddr4
			}
			b = nlmsg.AppendAttribute(b, attr, a.addr.AsSlice()...)
		}
		if a.id != 0 || a.withID {
			b = nlmsg.AppendAttribute(b, uapi.PMAddrAttrID, uint8(a.id))
		}
		if a.port != 0 {
			b = nlmsg.AppendUint16(b, uapi.PMAddrAttrPort, a.port)
		}
		if a.flags != 0 || a.withFlag {
			b = nlmsg.AppendUint32(b, uapi.PMAddrAttrFlags, uint32(a.flags))
		}
		if a.ifIndex != 0 {
			b = nlmsg.AppendUint32(b, uapi.PMAddrAttrIfIdx, uint32(a.ifIndex))
		}
		return b
	})
}

// request is the content of a request. Fields that are nil are left out.
type request struct {
	command Command
	dump    bool
	token   *mptcp.Token
	id      *mptcp.AddressID // LOC_ID
	local   *address         // ADDR
	remote  *address         // ADDR_REMOTE
	limits  LimitsUpdate
}

// encode returns the request as a netlink message of the family.
func (r request) encode(family uint16) []byte {
	flags := uint16(nlmsg.FlagAck)
	if r.dump {
		flags = nlmsg.FlagDump
	}
	b := newRequest(family, flags, uint8(r.command), uapi.PMVersion)
	if r.token != nil {
		b = nlmsg.AppendUint32(b, uapi.PMAttrToken, uint32(*r.token))
	}
	if r.id != nil {
		b = nlmsg.AppendAttribute(b, uapi.PMAttrLocID, uint8(*r.id))
	}
	if r.local != nil {
		b = r.local.append(b, uapi.PMAttrAddr)
	}
	if r.remote != nil {
		b = r.remote.append(b, uapi.PMAttrAddrRemote)
	}
	if v := r.limits.AddAddrAccepted; v != nil {
		b = nlmsg.AppendUint32(b, uapi.PMAttrRcvAddAddrs, *v)
	}
	if v := r.limits.Subflows; v != nil {
		b = nlmsg.AppendUint32(b, uapi.PMAttrSubflows, *v)
	}
	return finish(b)
}

// LimitsUpdate changes limits. What is nil stays as it is.
type LimitsUpdate struct {
	AddAddrAccepted *uint32
	Subflows        *uint32
}
