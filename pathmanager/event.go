package pathmanager

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// eventSizes holds the least length of each attribute of an event.
var eventSizes = [...]uint8{
	uapi.AttrToken:       4,
	uapi.AttrFamily:      2,
	uapi.AttrLocID:       1,
	uapi.AttrRemID:       1,
	uapi.AttrSaddr4:      4,
	uapi.AttrSaddr6:      16,
	uapi.AttrDaddr4:      4,
	uapi.AttrDaddr6:      16,
	uapi.AttrSport:       2,
	uapi.AttrDport:       2,
	uapi.AttrBackup:      1,
	uapi.AttrError:       1,
	uapi.AttrFlags:       2,
	uapi.AttrTimeout:     4,
	uapi.AttrIfIdx:       4,
	uapi.AttrResetReason: 4,
	uapi.AttrResetFlags:  4,
	uapi.AttrServerSide:  1,
}

// DecodeEvent decodes a whole netlink message of the event group (mptcp_pm_events) into e.
// It overwrites all of e, Time and Netns with their zero values. It is pure and allocates
// nothing; e keeps no reference to msg.
//
// Unknown attributes are left out, and an event of an unknown type keeps its number. A
// message that is cut short, or has an attribute that is shorter than its type, is an
// error, and e is zero then.
//
// The caller has to know whether the message came from the kernel: see [Listener]. The
// numbers are in the byte order of the machine that wrote them.
func DecodeEvent(msg []byte, e *mptcp.Event) error {
	*e = mptcp.Event{}
	cmd, attrs, err := genlPayload(msg)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	fields := mptcp.EventField(0)
	for {
		typ, v, rest, ok := nlmsg.NextAttribute(attrs)
		if !ok {
			break
		}
		attrs = rest
		if typ == uapi.AttrUnspec || int(typ) >= len(eventSizes) {
			continue
		}
		if len(v) < int(eventSizes[typ]) {
			return undecoded(e, cmd, nlmsg.Attribute{Type: typ, Value: v}.Need(int(eventSizes[typ])))
		}
		// Addresses and ports are in network order, everything else in the host's.
		switch typ {
		case uapi.AttrToken:
			e.Token = mptcp.Token(binary.NativeEndian.Uint32(v))
		case uapi.AttrFamily:
			e.Family = mptcp.Family(binary.NativeEndian.Uint16(v))
		case uapi.AttrLocID:
			e.LocalID = mptcp.AddressID(v[0])
		case uapi.AttrRemID:
			e.RemoteID = mptcp.AddressID(v[0])
		case uapi.AttrSaddr4:
			e.Source = netip.AddrFrom4([4]byte(v))
		case uapi.AttrSaddr6:
			e.Source = netip.AddrFrom16([16]byte(v))
		case uapi.AttrDaddr4:
			e.Destination = netip.AddrFrom4([4]byte(v))
		case uapi.AttrDaddr6:
			e.Destination = netip.AddrFrom16([16]byte(v))
		case uapi.AttrSport:
			e.Sport = binary.BigEndian.Uint16(v)
		case uapi.AttrDport:
			e.Dport = binary.BigEndian.Uint16(v)
		case uapi.AttrBackup:
			e.Backup = v[0]
		case uapi.AttrError:
			e.Error = mptcp.Errno(v[0])
		case uapi.AttrFlags:
			e.Flags = mptcp.EventFlags(binary.NativeEndian.Uint16(v))
		case uapi.AttrTimeout:
			e.Timeout = binary.NativeEndian.Uint32(v)
		case uapi.AttrIfIdx:
			e.IfIndex = int32(binary.NativeEndian.Uint32(v))
		case uapi.AttrResetReason:
			e.ResetReason = mptcp.ResetReason(binary.NativeEndian.Uint32(v))
		case uapi.AttrResetFlags:
			e.ResetFlags = binary.NativeEndian.Uint32(v)
		case uapi.AttrServerSide:
			e.ServerSide = v[0]
		}
		fields |= 1 << typ
	}
	if len(attrs) > 0 {
		return undecoded(e, cmd, nlmsg.AttributeDamage(attrs))
	}
	e.Fields = fields
	e.Type = mptcp.EventType(cmd)
	return nil
}

// undecoded clears the event and returns why it could not be decoded.
func undecoded(e *mptcp.Event, cmd uint8, err error) error {
	*e = mptcp.Event{}
	return fmt.Errorf("event %d: %w", cmd, err)
}
