// Package pathadvice says what to type so that connections use the other paths of a host.
package pathadvice

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/hostnet"
	"mptcpctl/internal/present"
	"mptcpctl/internal/shell"
	"mptcpctl/mptcp"
)

// Advice says what makes the paths of a network namespace usable.
type Advice struct {
	Device   func(index int32) string    // names the namespace's devices
	Inside   func(command string) string // makes a command act on the namespace
	Settings counters.Sysctls            // as far as they are known
	Silent   bool                        // no program there listens for MPTCP: it is a client alone
}

// Of adds to the candidate paths which endpoints they have, and the commands that
// make the others usable.
func (a *Advice) Of(report hostnet.PathReport, endpoints []mptcp.Endpoint, limits mptcp.Limits) *present.Paths {
	answer := &present.Paths{
		Destinations: append([]hostnet.Destination{}, report.Destinations...),
		Limits:       limits,
		Paths:        []present.Path{},
		Commands:     []string{},
	}
	planned := slices.Clone(endpoints)
	chosen := choose(report.Paths, endpoints)
	for _, p := range report.Paths {
		path := present.Path{Path: p}
		e, found := endpointOf(endpoints, p)
		if found {
			path.Endpoint = &present.PathEndpoint{ID: e.ID, Flags: e.Flags.Names()}
			if e.IfIndex != 0 {
				path.Endpoint.Dev = a.Device(e.IfIndex)
			}
		}
		if p.Usable && !p.Initial {
			a.advise(&path, e, found, chosen[linkOf(p)])
			if why := a.unused(&report, e, endpoints, limits.Subflows); found && why != "" {
				path.Notes = append(path.Notes, "its endpoint makes no subflow on new connections: "+why)
			}
		}
		if path.Command != "" {
			answer.Commands = append(answer.Commands, path.Command)
			planned = append(slices.DeleteFunc(planned, func(o mptcp.Endpoint) bool { return found && o.ID == e.ID }),
				mptcp.Endpoint{Address: p.Address, IfIndex: int32(p.IfIndex), Flags: mptcp.FlagSubflow})
		}
		answer.Paths = append(answer.Paths, path)
	}
	if wanted := a.joins(&report, planned); wanted > limits.Subflows {
		answer.Commands = slices.Insert(
			answer.Commands, 0, a.Inside(fmt.Sprintf("mptcpctl limits set subflows %d", wanted)),
		)
	}
	if on := a.Settings.Enabled; on != nil && !*on {
		answer.Notes = append(answer.Notes, "MPTCP is disabled (net.mptcp.enabled=0): every connection is plain TCP")
		answer.Commands = slices.Insert(answer.Commands, 0, a.Inside("sysctl -w net.mptcp.enabled=1"))
	}
	if a.Settings.PathManagerName() == "userspace" {
		answer.Notes = append(
			answer.Notes,
			"the userspace path manager is selected: its daemon creates the subflows, and endpoints and limits are "+
				"not used",
		)
	}
	return answer
}

// endpointOf returns the endpoint of the path's address. Where several links have the
// address, it is of the link that it names.
func endpointOf(endpoints []mptcp.Endpoint, p hostnet.Path) (mptcp.Endpoint, bool) {
	for _, e := range endpoints {
		if e.Address.Unmap() == p.Address &&
			(p.Problem != hostnet.ProblemTwice || int(e.IfIndex) == p.IfIndex) {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

// link is a link to destinations of one family, of which one address makes a path.
type link struct {
	index  int
	family mptcp.Family
}

func linkOf(p hostnet.Path) link { return link{p.IfIndex, p.Family} }

// choose returns the address of each link that is to have an endpoint: one that has, else
// one that lasts.
func choose(paths []hostnet.Path, endpoints []mptcp.Endpoint) map[link]netip.Addr {
	chosen := map[link]netip.Addr{}
	rank := map[link]int{}
	for _, p := range paths {
		if !p.Usable {
			continue
		}
		_, has := endpointOf(endpoints, p)
		fit := 1
		switch {
		case has || p.Initial:
			fit = 4
		case p.Deprecated:
		case p.Temporary:
			fit = 2
		default:
			fit = 3
		}
		if l := linkOf(p); fit > rank[l] {
			rank[l], chosen[l] = fit, p.Address
		}
	}
	return chosen
}

// advise gives a usable path other than the initial one its command and its notes. Chosen is
// the address of its link that makes the path.
func (a *Advice) advise(p *present.Path, e mptcp.Endpoint, found bool, chosen netip.Addr) {
	add := fmt.Sprintf("mptcpctl endpoint add %v dev %s subflow", p.Address, shell.Word(p.Device))
	switch {
	case !found && p.SharesDevice: // no path of its own: its note says so
	case !found && p.Deprecated:
		p.Notes = append(p.Notes, "a deprecated address: new connections are not to use it")
	case !found && p.Address != chosen:
		p.Notes = append(
			p.Notes, fmt.Sprintf("%s is on the same device: this one would add a subflow, not a path", chosen),
		)
	case !found:
		p.Command = a.Inside(add)
	case !purposeless(e): // it makes subflows already
	case e.Flags.Has(mptcp.FlagLaminar):
		p.Notes = append(
			p.Notes,
			"its endpoint (laminar) is used for an address that the peer announces, not for the peer's own",
		)
	default:
		p.Command = a.Inside(
			fmt.Sprintf(
				"mptcpctl endpoint delete id %d && %s", e.ID,
				strings.Join(append([]string{add}, a.keptFlags(e)...), " "),
			),
		)
		p.Notes = append(
			p.Notes,
			fmt.Sprintf(
				"its endpoint (%s) makes no subflow to the peer's own address: it lacks the flag subflow",
				flagsOrNone(e.Flags),
			),
		)
	}
	if p.Choice != nil && (!found || e.IfIndex == 0) {
		p.Notes = append(p.Notes, fmt.Sprintf(
			"the routes choose %s for each subflow from here, by a hash of its ports: the endpoint needs dev %s",
			strings.Join(p.Choice, " or "), p.Device,
		))
	}
	if p.PastTunnel != "" {
		p.Notes = append(p.Notes, fmt.Sprintf(
			"connections go into the tunnel %s: a subflow from this address goes past it", p.PastTunnel,
		))
	}
	if !p.OwnLink && p.Choice == nil && (!found || e.IfIndex == 0) {
		leaves := "by no device"
		if p.LeavesBy != "" {
			leaves = "by " + p.LeavesBy
		}
		p.Notes = append(
			p.Notes,
			fmt.Sprintf(
				"the routes send packets from this address out %s: the endpoint needs dev %s, or the host a routing "+
					"rule for this source",
				leaves,
				p.Device,
			),
		)
	}
	if p.SharesDevice {
		p.Notes = append(p.Notes, "it is on the initial subflow's device: it adds a subflow, not a path")
	}
	if len(p.SharesPrefixWith) > 0 {
		p.Notes = append(
			p.Notes,
			"its prefix is also on "+strings.Join(
				p.SharesPrefixWith, ", ",
			)+": either link may answer ARP for this address, so packets may arrive on the wrong one (sysctl "+
				"net.ipv4.conf.all.arp_ignore=1)",
		)
	}
	if p.Temporary {
		p.Notes = append(p.Notes, "a temporary address: it disappears after about a day")
	}
}

// keptFlags returns the flags that a new endpoint of the address should keep. What peers do
// with an announced address is refused where nobody listens.
func (a *Advice) keptFlags(e mptcp.Endpoint) []string {
	if a.Silent {
		e.Flags &^= mptcp.FlagSignal
	}
	return (e.Flags & (mptcp.FlagBackup | mptcp.FlagSignal | mptcp.FlagFullmesh)).Names()
}

func flagsOrNone(f mptcp.EndpointFlags) string {
	if f == 0 {
		return "no flags"
	}
	return f.String()
}
