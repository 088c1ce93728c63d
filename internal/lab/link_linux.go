package lab

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// LinkUp brings a device up. The kernel has dropped its IPv6 addresses and its
// gateway routes when it went down.
func (n *Namespace) LinkUp(device string) error {
	return n.Do(func() error { return setLink(device, netlink.LinkSetUp) })
}

// LinkDown takes a device down; its peer loses the carrier.
func (n *Namespace) LinkDown(device string) error {
	return n.Do(func() error { return setLink(device, netlink.LinkSetDown) })
}

// RemoveLink removes a device and with it the other end of the link.
func (n *Namespace) RemoveLink(device string) error {
	return n.Do(func() error { return setLink(device, netlink.LinkDel) })
}

// IfIndex returns the index of a device.
func (n *Namespace) IfIndex(device string) (int, error) {
	index := 0
	err := n.Do(func() error {
		return setLink(device, func(l netlink.Link) error {
			index = l.Attrs().Index
			return nil
		})
	})
	return index, err
}

// AddAddress adds an address to a device; it is usable at once.
func (n *Namespace) AddAddress(device string, address netip.Prefix) error {
	return n.Do(func() error {
		return setLink(device, func(l netlink.Link) error { return addAddress(l, address, 0) })
	})
}

// RemoveAddress removes an address from a device.
func (n *Namespace) RemoveAddress(device string, address netip.Prefix) error {
	return n.Do(func() error {
		return setLink(device, func(l netlink.Link) error {
			return netlink.AddrDel(l, &netlink.Addr{IPNet: ipNet(address)})
		})
	})
}

// Shape limits what a device sends to so many bytes a second, with a queue of
// 50 ms. A rate of 0 removes the limit.
func (n *Namespace) Shape(device string, bytesPerSecond uint64) error {
	const burst = 32 << 10
	return n.Do(func() error {
		return setLink(device, func(l netlink.Link) error {
			qdisc := &netlink.Tbf{
				QdiscAttrs: netlink.QdiscAttrs{
					LinkIndex: l.Attrs().Index,
					Handle:    netlink.MakeHandle(1, 0),
					Parent:    netlink.HANDLE_ROOT,
				},
				Rate:   bytesPerSecond,
				Limit:  uint32(min(bytesPerSecond/20, 1<<30)) + burst,
				Buffer: netlink.Xmittime(bytesPerSecond, burst),
			}
			if bytesPerSecond == 0 {
				return netlink.QdiscDel(qdisc)
			}
			return netlink.QdiscReplace(qdisc)
		})
	})
}

// setLink does something to a device of the calling thread's namespace.
func setLink(name string, do func(netlink.Link) error) error {
	device, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("device %s: %w", name, err)
	}
	if err := do(device); err != nil {
		if err == unix.ENODEV {
			return fmt.Errorf("device %s went away: %w", name, err)
		}
		return fmt.Errorf("device %s: %w", name, err)
	}
	return nil
}
