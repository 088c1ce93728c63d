package pathmanager

import (
	"fmt"
	"net/netip"

	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// decodeEndpoint reads the answer of GET_ADDR, one message of a dump included.
func decodeEndpoint(msg []byte) (mptcp.Endpoint, error) {
	var e mptcp.Endpoint
	found := false
	_, attrs, err := genlPayload(msg)
	if err == nil {
		err = eachAttribute(attrs, func(a attribute) error {
			if a.typ != uapi.PMAttrAddr {
				return nil
			}
			found = true
			return eachAttribute(a.value, func(a attribute) error { return setEndpointField(&e, a) })
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
func setEndpointField(e *mptcp.Endpoint, a attribute) error {
	switch a.typ {
	case uapi.PMAddrAttrID:
		return a.uint8((*uint8)(&e.ID))
	case uapi.PMAddrAttrAddr4:
		if err := a.short(4); err != nil {
			return err
		}
		e.Address = netip.AddrFrom4([4]byte(a.value))
	case uapi.PMAddrAttrAddr6:
		if err := a.short(16); err != nil {
			return err
		}
		e.Address = netip.AddrFrom16([16]byte(a.value))
	case uapi.PMAddrAttrPort:
		return a.uint16(&e.Port)
	case uapi.PMAddrAttrFlags:
		return a.uint32((*uint32)(&e.Flags))
	case uapi.PMAddrAttrIfIdx:
		var index uint32
		err := a.uint32(&index)
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
		err = eachAttribute(attrs, func(a attribute) error {
			switch a.typ {
			case uapi.PMAttrRcvAddAddrs:
				return a.uint32(&l.AddAddrAccepted)
			case uapi.PMAttrSubflows:
				return a.uint32(&l.Subflows)
			}
			return nil
		})
	}
	if err != nil {
		return mptcp.Limits{}, fmt.Errorf("limits: %w", err)
	}
	return l, nil
}
