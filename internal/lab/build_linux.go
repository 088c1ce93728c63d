package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Lab is a built topology. Its hosts end with it, or with the process.
type Lab struct {
	topology Topology
	hosts    map[string]*Host
	order    []*Host
	once     sync.Once
	closeErr error
}

// Host is a host of a lab: a network namespace with a name.
type Host struct {
	*Namespace
	Name string
	Spec HostSpec

	tunnels []*os.File // their other ends
}

// Build makes the topology. It needs the right to make namespaces: see [Enter].
// The caller closes the lab.
func Build(ctx context.Context, t Topology) (*Lab, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	l := &Lab{topology: t, hosts: map[string]*Host{}}
	if err := l.build(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("topology %s: %w", t.Name, err), l.Close())
	}
	return l, nil
}

// build takes the steps in the order in which they depend on each other.
func (l *Lab) build(ctx context.Context) error {
	for _, spec := range l.topology.Hosts {
		ns, err := NewNamespace()
		if err != nil {
			return fmt.Errorf("host %s: %w", spec.Name, err)
		}
		host := &Host{Namespace: ns, Name: spec.Name, Spec: spec}
		l.hosts[spec.Name] = host
		l.order = append(l.order, host)
		if err := host.Do(host.prepare); err != nil {
			return fmt.Errorf("host %s: %w", spec.Name, err)
		}
	}
	for _, link := range l.topology.Links {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.connect(link); err != nil {
			return fmt.Errorf("link %s of %s: %w", link.A.Name, link.A.Host, err)
		}
	}
	for _, host := range l.order {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := host.Do(host.route); err != nil {
			return fmt.Errorf("host %s: %w", host.Name, err)
		}
		if len(host.Spec.Firewall) > 0 {
			if err := host.SetFirewall(host.Spec.Firewall...); err != nil {
				return fmt.Errorf("host %s: %w", host.Name, err)
			}
		}
	}
	return nil
}

// Topology returns the data that the lab was built from.
func (l *Lab) Topology() Topology { return l.topology }

// Hosts returns the hosts in the topology's order.
func (l *Lab) Hosts() []*Host { return l.order }

// Host returns the host of that name, nil if there is none.
func (l *Lab) Host(name string) *Host { return l.hosts[name] }

// Close lets go of the hosts. It may be called more than once. Namespaces with a
// process in them live until that ends: close processes first.
func (l *Lab) Close() error {
	l.once.Do(func() {
		for _, host := range l.order {
			closeFiles(host.tunnels...)
			l.closeErr = errors.Join(l.closeErr, host.Close())
		}
	})
	return l.closeErr
}

// prepare sets what must hold before the host has links; it runs in the host.
func (h *Host) prepare() error {
	for _, s := range h.Spec.Sysctls {
		if err := writeSysctl(s); err != nil {
			return err
		}
	}
	for _, s := range h.Spec.Optional {
		if err := writeSysctl(s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	for _, t := range h.Spec.Tunnels {
		file, err := makeTunnel(t)
		if err != nil {
			return fmt.Errorf("tunnel %s: %w", t.Name, err)
		}
		h.tunnels = append(h.tunnels, file)
	}
	for _, name := range h.Spec.Bridges {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
			return fmt.Errorf("bridge %s: %w", name, err)
		}
		if err := setLink(name, netlink.LinkSetUp); err != nil {
			return err
		}
	}
	return nil
}

// connect makes one link, with both ends up.
func (l *Lab) connect(link Link) error {
	a, b := l.hosts[link.A.Host], l.hosts[link.B.Host]
	err := a.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = link.A.Name
		veth := netlink.NewVeth(attrs)
		veth.PeerName = link.B.Name
		veth.PeerNamespace = netlink.NsFd(b.Fd())
		return netlink.LinkAdd(veth)
	})
	if err != nil {
		return fmt.Errorf("virtual Ethernet: %w", err)
	}
	for _, end := range []End{link.A, link.B} {
		if err := l.hosts[end.Host].Do(func() error { return setUp(end) }); err != nil {
			return err
		}
		if end.Rate > 0 {
			if err := l.hosts[end.Host].Shape(end.Name, end.Rate); err != nil {
				return err
			}
		}
	}
	return nil
}

// setUp gives a device its bridge and addresses; it runs in the device's host.
func setUp(end End) error {
	device, err := netlink.LinkByName(end.Name)
	if err != nil {
		return fmt.Errorf("device %s: %w", end.Name, err)
	}
	if end.Bridge != "" {
		bridge, err := netlink.LinkByName(end.Bridge)
		if err != nil {
			return fmt.Errorf("bridge %s: %w", end.Bridge, err)
		}
		if err := netlink.LinkSetMaster(device, bridge); err != nil {
			return fmt.Errorf("device %s into bridge %s: %w", end.Name, end.Bridge, err)
		}
	}
	if err := netlink.LinkSetUp(device); err != nil {
		return fmt.Errorf("device %s up: %w", end.Name, err)
	}
	for _, address := range end.Addresses {
		if err := addAddress(device, address, end.Metric); err != nil {
			return fmt.Errorf("address %s of %s: %w", address, end.Name, err)
		}
	}
	return nil
}

// addAddress adds the address without duplicate detection, which would keep an
// IPv6 address unusable for a second. With a metric the prefix route is added by
// hand, as NetworkManager does.
func addAddress(device netlink.Link, address netip.Prefix, metric int) error {
	a := &netlink.Addr{IPNet: ipNet(address)}
	if address.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	if metric == 0 {
		return netlink.AddrAdd(device, a)
	}
	a.Flags |= unix.IFA_F_NOPREFIXROUTE
	if err := netlink.AddrAdd(device, a); err != nil {
		return err
	}
	scope := netlink.SCOPE_LINK
	if address.Addr().Is6() {
		scope = netlink.SCOPE_UNIVERSE
	}
	return netlink.RouteAdd(&netlink.Route{
		LinkIndex: device.Attrs().Index,
		Scope:     scope,
		Dst:       ipNet(address.Masked()),
		Src:       address.Addr().AsSlice(),
		Protocol:  unix.RTPROT_KERNEL,
		Priority:  metric,
	})
}

// route adds the host's routes and rules; it runs in the host.
func (h *Host) route() error {
	for _, r := range h.Spec.Routes {
		device, err := netlink.LinkByName(r.Dev)
		if err != nil {
			return fmt.Errorf("device %s: %w", r.Dev, err)
		}
		route := &netlink.Route{LinkIndex: device.Attrs().Index, Dst: ipNet(r.To), Priority: r.Metric, Table: r.Table}
		if r.Via.IsValid() {
			route.Gw = r.Via.AsSlice()
		} else if r.To.Addr().Is4() {
			route.Scope = netlink.SCOPE_LINK
		}
		if r.Source.IsValid() {
			route.Src = r.Source.AsSlice()
		}
		if err := netlink.RouteAdd(route); err != nil {
			return fmt.Errorf("route %s dev %s: %w", r.To, r.Dev, err)
		}
	}
	for _, r := range h.Spec.Rules {
		rule := netlink.NewRule()
		rule.Table, rule.Priority, rule.Mark = r.Table, r.Priority, r.Mark
		if r.From.IsValid() {
			rule.Src = ipNet(r.From)
		}
		rule.Family = unix.AF_INET
		if r.From.Addr().Is6() {
			rule.Family = unix.AF_INET6
		}
		if err := netlink.RuleAdd(rule); err != nil {
			return fmt.Errorf("rule from %s mark %d table %d: %w", r.From, r.Mark, r.Table, err)
		}
	}
	return nil
}

// SetSysctl changes a kernel setting of the host.
func (h *Host) SetSysctl(name, value string) error {
	return h.Do(func() error { return writeSysctl(Sysctl{name, value}) })
}

// writeSysctl writes a setting of the calling thread's namespace.
func writeSysctl(s Sysctl) error {
	path := "/proc/sys/" + strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, s.Name)
	if err := os.WriteFile(path, []byte(s.Value), 0); err != nil {
		return fmt.Errorf("sysctl %s=%s: %w", s.Name, s.Value, err)
	}
	return nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
