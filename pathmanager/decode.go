package pathmanager

import (
	"fmt"
	"net/netip"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// decodeEndpoint reads the answer of GET_ADDR, one message of a dump included.
func decodeEndpoint(msg []byte) (mptcp.Endpoint, error) {
	var e mptcp.Endpoint
	found := false
	_, attrs, err := genlPayload(msg)
	if err == nil {
		err = nlmsg.EachAttribute(attrs, func(a nlmsg.Attribute) error {
			if a.Type != uapi.PMAttrAddr {
				return nil
			}
			found = true
			return nlmsg.EachAttribute(a.Value, func(a nlmsg.Attribute) error { return setEndpointField(&e, a) })
		})
	}
	if err == nil && !found {
		err = fmt.Errorf("no address in the answer")
	}
	if err != nil {
		return mptcp.Endpoint{}, fmt.Errorf("endpoint: %w", err)
	}
	return e, nil
}

// setEndpointField stores one attribute of a nested address.
func setEndpointField(e *mptcp.Endpoint, a nlmsg.Attribute) error {
	switch a.Type {
	case uapi.PMAddrAttrID:
		return a.Uint8((*uint8)(&e.ID))
	case uapi.PMAddrAttrAddr4:
		if err := a.Need(4); err != nil {
			return err
		}
		e.Address = netip.AddrFrom4([4]byte(a.Value))
	case uapi.PMAddrAttrAddr6:
		if err := a.Need(16); err != nil {
			return err
		}
		e.Address = netip.AddrFrom16([16]byte(a.Value))
	case uapi.PMAddrAttrPort:
		return a.Uint16(&e.Port)
	case uapi.PMAddrAttrFlags:
		return a.Uint32((*uint32)(&e.Flags))
	case uapi.PMAddrAttrIfIdx:
		var index uint32
		err := a.Uint32(&index)
		e.IfIndex = int32(index)
		return err
	}
	return nil
}

// decodeLimits reads the answer of GET_LIMITS.
func decodeLimits(msg []byte) (mptcp.Limits, error) {
	var l mptcp.Limits
	_, attrs, err := genlPayload(msg)
	if err == nil {
		err = nlmsg.EachAttribute(attrs, func(a nlmsg.Attribute) error {
			switch a.Type {
			case uapi.PMAttrRcvAddAddrs:
				return a.Uint32(&l.AddAddrAccepted)
			case uapi.PMAttrSubflows:
				return a.Uint32(&l.Subflows)
			}
			return nil
		})
	}
	if err != nil {
		return mptcp.Limits{}, fmt.Errorf("limits: %w", err)
	}
	return l, nil
}

// DecodeFamily decodes a [Family.Raw], with which a recording begins. Like all decoders
// here it is pure and takes any bytes; the error says what is wrong with them.
func DecodeFamily(msg []byte) (Family, error) { return decodeFamily(msg) }

// DecodeEndpoint decodes one message of the kernel's answer to a question about endpoints
// or addresses (MPTCP_PM_CMD_GET_ADDR), such as a [Config.Tap] receives.
func DecodeEndpoint(msg []byte) (mptcp.Endpoint, error) { return decodeEndpoint(msg) }

// DecodeLimits decodes the kernel's answer to a question about limits
// (MPTCP_PM_CMD_GET_LIMITS). A message about an endpoint has no limits and gives zeros.
func DecodeLimits(msg []byte) (mptcp.Limits, error) { return decodeLimits(msg) }
