package lab

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"mptcpctl/mptcp"
)

// Names of the hosts that every topology has.
const (
	ClientHost = "client"
	ServerHost = "server"
)

// Topology is a small network as data: what [Build] makes of namespaces.
type Topology struct {
	Name    string // what `lab run` takes
	Summary string // one line that says what it is for
	Hosts   []HostSpec
	Links   []Link
	Paths   []Path // the ways from client to server, that of the initial subflow first
}

// HostSpec describes one host of a topology.
type HostSpec struct {
	Name     string
	Bridges  []string // bridges, for ends of links that name them
	Tunnels  []Tunnel
	Sysctls  []Sysctl
	Optional []Sysctl // set where the kernel has them
	Routes   []Route
	Rules    []PolicyRule
	Firewall []FirewallRule

	// The path manager's settings are data only: Build does not apply them.
	// Commands says them in the words of the tool.
	Limits    *mptcp.Limits // nil: the kernel's
	Endpoints []Endpoint
}

// Commands returns the arguments of the tool that give the host its limits and
// endpoints, one command each: {"limits", "set", …}, {"endpoint", "add", …}.
func (h HostSpec) Commands() [][]string {
	var commands [][]string
	if h.Limits != nil {
		commands = append(commands, []string{
			"limits", "set", "add_addr_accepted", strconv.FormatUint(uint64(h.Limits.AddAddrAccepted), 10),
			"subflows", strconv.FormatUint(uint64(h.Limits.Subflows), 10),
		})
	}
	for _, e := range h.Endpoints {
		commands = append(commands, e.Command())
	}
	return commands
}

// Endpoint is an endpoint of a host, its device by name.
type Endpoint struct {
	Address netip.Addr
	Dev     string // "" for none
	Port    uint16
	Flags   mptcp.EndpointFlags
}

// Command returns the arguments of the tool that add the endpoint.
func (e Endpoint) Command() []string {
	args := []string{"endpoint", "add", e.Address.String()}
	if e.Dev != "" {
		args = append(args, "dev", e.Dev)
	}
	args = append(args, e.Flags.Names()...)
	if e.Port != 0 {
		args = append(args, "port", strconv.Itoa(int(e.Port)))
	}
	return args
}

// Sysctl is a kernel setting of the host's namespace, such as
// net.ipv4.conf.all.rp_filter. A dot within an interface name is written "/".
type Sysctl struct{ Name, Value string }

// Link is a pair of virtual Ethernet devices, one at each end.
type Link struct{ A, B End }

// End is one end of a link.
type End struct {
	Host      string
	Name      string         // of the device
	Addresses []netip.Prefix // address and prefix length, IPv4 or IPv6
	Metric    int            // of the addresses' prefix routes; 0: the kernel's own
	Rate      uint64         // bytes a second that the device sends at most; 0: as many as it can
	Bridge    string         // bridge of the host that the device belongs to, "" for none
}

// Route is a route of a host.
type Route struct {
	To     netip.Prefix // 0.0.0.0/0 and ::/0: the default route
	Via    netip.Addr   // gateway; the zero value: on-link
	Dev    string
	Source netip.Addr // preferred source; the zero value: the kernel's choice
	Metric int
	Table  int // 0: main
}

// Tunnel is a tunnel device of a host, up, whose other end swallows what is sent.
type Tunnel struct {
	Name    string
	Address netip.Prefix
}

// PolicyRule selects a routing table by source address, by mark, or by both.
type PolicyRule struct {
	From     netip.Prefix // the zero value: any
	Mark     uint32       // 0: any
	Table    int
	Priority int
}

// Path is one way from client to server: the source address that takes it, and
// the address of the server that it reaches.
type Path struct {
	From, To            string // hosts
	Dev                 string // device of From
	Source, Destination netip.Addr
}

// Host returns the description of a host.
func (t Topology) Host(name string) (*HostSpec, bool) {
	for i := range t.Hosts {
		if t.Hosts[i].Name == name {
			return &t.Hosts[i], true
		}
	}
	return nil, false
}

// Client returns the description of the client, which every topology has.
func (t *Topology) Client() *HostSpec {
	h, _ := t.Host(ClientHost)
	return h
}

// Server returns the description of the server, which every topology has.
func (t *Topology) Server() *HostSpec {
	h, _ := t.Host(ServerHost)
	return h
}

// With changes a topology in place and returns it.
func (t Topology) With(change func(*Topology)) Topology {
	change(&t)
	return t
}

// Set gives a host a kernel setting.
func (h *HostSpec) Set(name, value string) { h.Sysctls = append(h.Sysctls, Sysctl{name, value}) }

// Prefer gives a host a kernel setting where its kernel has it.
func (h *HostSpec) Prefer(name, value string) { h.Optional = append(h.Optional, Sysctl{name, value}) }

// SetClient gives the client its path manager's settings.
func (t *Topology) SetClient(l mptcp.Limits, endpoints ...Endpoint) {
	client := t.Client()
	client.Limits, client.Endpoints = &l, endpoints
}

// check finds mistakes in the data that the kernel would not explain.
func (t Topology) check() error {
	seen := map[string]bool{}
	for _, h := range t.Hosts {
		if seen[h.Name] {
			return fmt.Errorf("topology %s: two hosts named %s", t.Name, h.Name)
		}
		seen[h.Name] = true
	}
	for _, l := range t.Links {
		for _, e := range []End{l.A, l.B} {
			switch {
			case !seen[e.Host]:
				return fmt.Errorf("topology %s: link end %s on unknown host %s", t.Name, e.Name, e.Host)
			case e.Name == "" || len(e.Name) > 15 || strings.ContainsAny(e.Name, "/ "):
				return fmt.Errorf("topology %s: %q is no device name", t.Name, e.Name)
			}
		}
	}
	return nil
}
