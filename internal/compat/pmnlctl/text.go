package pmnlctl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"mptcpctl/internal/device"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/present"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// appendEndpoint appends an endpoint as pm_nl_ctl prints it: an id, flags
// joined by commas in an order of their own, the device, the address and its port.
func appendEndpoint(b []byte, e *mptcp.Endpoint) []byte {
	b = fmt.Appendf(b, "id %d flags ", e.ID)
	order := []mptcp.EndpointFlags{
		mptcp.FlagSignal, mptcp.FlagSubflow, mptcp.FlagLaminar,
		mptcp.FlagBackup, mptcp.FlagFullmesh, mptcp.FlagImplicit,
	}
	comma := ""
	for _, flag := range order {
		if e.Flags.Has(flag) {
			b = append(append(b, comma...), flag.String()...)
			comma = ","
		}
	}
	if rest := e.Flags.Unknown(); rest != 0 {
		b = fmt.Appendf(b, "%s%#x", comma, uint32(rest))
	}
	b = append(b, ' ')
	if e.IfIndex != 0 {
		if name, err := device.NameOf(e.IfIndex); err == nil {
			b = append(append(append(b, "dev "...), present.Escape(name)...), ' ')
		} else {
			b = fmt.Appendf(b, "dev unknown/%d", e.IfIndex)
		}
	}
	b = present.AppendAddress(b, e.Address)
	if e.Port != 0 {
		b = fmt.Appendf(b, " %d", e.Port)
	}
	return append(b, '\n')
}

// eventHeader is the size of the two headers in front of an event's attributes.
const eventHeader = nlmsg.HeaderSize + 4

// appendEvent appends the line that pm_nl_ctl prints for an event's netlink
// message: its attributes in the order in which the kernel wrote them, which a
// decoded event does not keep, and the mark of the server's side at the end, wherever it
// came from (capture_events in tools/testing/selftests/net/mptcp/pm_nl_ctl.c, Linux
// 6.18). What is cut short ends the line.
func appendEvent(b, msg []byte) []byte {
	if len(msg) < eventHeader || msg[nlmsg.HeaderSize] == uapi.EventUnspec {
		return b
	}
	b = strconv.AppendUint(append(b, "type:"...), uint64(msg[nlmsg.HeaderSize]), 10)
	serverSide := false
	for typ, value := range nlmsg.Attributes(msg[eventHeader:]) {
		b = appendField(b, typ, value)
		serverSide = serverSide || isServerSide(typ, value)
	}
	if serverSide {
		b = append(b, ",server_side:1"...)
	}
	return append(b, '\n')
}

func isServerSide(typ uint16, value []byte) bool {
	if typ == uapi.AttrServerSide && len(value) >= 1 {
		return value[0] != 0
	}
	return hasEventFlag(typ, value, uapi.PMEventFlagServerSide)
}

func hasEventFlag(typ uint16, value []byte, flag uint16) bool {
	return typ == uapi.AttrFlags && len(value) >= 2 && binary.NativeEndian.Uint16(value)&flag != 0
}

// field is an attribute that pm_nl_ctl prints.
type field struct {
	key  string
	size int
}

// fields returns the attributes by number; those without a key are not
// printed.
func fields() []field {
	return []field{
		uapi.AttrToken:  {"token", 4},
		uapi.AttrFamily: {"family", 2},
		uapi.AttrLocID:  {"loc_id", 1},
		uapi.AttrRemID:  {"rem_id", 1},
		uapi.AttrSaddr4: {"saddr4", 4},
		uapi.AttrSaddr6: {"saddr6", 16},
		uapi.AttrDaddr4: {"daddr4", 4},
		uapi.AttrDaddr6: {"daddr6", 16},
		uapi.AttrSport:  {"sport", 2},
		uapi.AttrDport:  {"dport", 2},
		uapi.AttrBackup: {"backup", 1},
		uapi.AttrError:  {"error", 1},
	}
}

func appendField(b []byte, typ uint16, value []byte) []byte {
	if hasEventFlag(typ, value, uapi.PMEventFlagDenyJoinID0) {
		return append(b, ",deny_join_id0:1"...)
	}
	fields := fields()
	if int(typ) >= len(fields) || fields[typ].key == "" || len(value) < fields[typ].size {
		return b
	}
	field := fields[typ]
	value = value[:field.size]
	b = append(append(append(b, ','), field.key...), ':')
	switch typ {
	case uapi.AttrSaddr4, uapi.AttrDaddr4, uapi.AttrSaddr6, uapi.AttrDaddr6:
		address, _ := netip.AddrFromSlice(value) // 4 or 16 bytes, as the table says
		return present.AppendAddress(b, address)
	case uapi.AttrSport, uapi.AttrDport:
		return strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(value)), 10)
	case uapi.AttrToken:
		return strconv.AppendUint(b, uint64(binary.NativeEndian.Uint32(value)), 10)
	case uapi.AttrFamily:
		return strconv.AppendUint(b, uint64(binary.NativeEndian.Uint16(value)), 10)
	}
	return strconv.AppendUint(b, uint64(value[0]), 10)
}
