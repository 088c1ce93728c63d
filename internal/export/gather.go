package export

import (
	"strconv"
	"strings"
	"unicode"

	"mptcpctl/counters"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// gather returns the metrics that a state alone tells.
func gather(s *track.State) []*family {
	families := append(gatherConnections(s), gatherEndpoints(s)...)
	return append(families, gatherCounters(s)...)
}

func gatherConnections(s *track.State) []*family {
	connections := newFamily(gauge, "mptcp_connections", "MPTCP connections, those that fell back included.", "netns", "side", "state")
	fallback := newFamily(gauge, "mptcp_connections_fallback", "Connections that speak plain TCP since they fell back.", "netns")
	subflows := newFamily(gauge, "mptcp_subflows", "Subflows, by the device that they are bound to, else the one that holds their address. An established one that either end asked to use as backup counts as backup.", "netns", "device", "state")
	for _, n := range s.Namespaces() {
		fallback.add(0, n.Netns)
		connections.add(0, n.Netns, mptcp.SideClient.String(), mptcp.StateEstablished.String())
		connections.add(0, n.Netns, mptcp.SideServer.String(), mptcp.StateEstablished.String())
	}
	for c := range s.Connections() {
		connections.add(1, c.Netns, c.Side.String(), c.State.String())
		if c.Fallback {
			fallback.add(1, c.Netns)
		}
		for i := range c.Subflows {
			subflows.add(1, c.Netns, c.Subflows[i].Device, subflowState(&c.Subflows[i]))
		}
	}
	return []*family{connections, fallback, subflows}
}

func subflowState(f *mptcp.Subflow) string {
	if f.State == mptcp.SubflowEstablished && (f.BackupLocal || f.BackupRemote) {
		return "backup"
	}
	return f.State.String()
}

func gatherEndpoints(s *track.State) []*family {
	info := newFamily(gauge, "mptcp_endpoint_info", "An endpoint of the in-kernel path manager; the value is always 1.", "netns", "id", "address", "device", "flags")
	used := newFamily(gauge, "mptcp_endpoint_connections", "Connections with a subflow from the address of the endpoint.", "netns", "id")
	limits := newFamily(gauge, "mptcp_limit", "Limits of the in-kernel path manager, for each connection.", "netns", "kind")
	for _, n := range s.Namespaces() {
		limits.set(float64(n.Limits.Subflows), n.Netns, "subflows")
		limits.set(float64(n.Limits.AddAddrAccepted), n.Netns, "add_addr_accepted")
		for i := range n.Endpoints {
			e := &n.Endpoints[i]
			id := strconv.Itoa(int(e.ID))
			info.set(1, n.Netns, id, e.Address.String(), deviceOf(s, n.Netns, e.Address.Unmap(), e.IfIndex), strings.Join(e.Flags.Names(), ","))
			used.add(0, n.Netns, id)
		}
	}
	for c := range s.Connections() {
		for _, n := range s.Namespaces() {
			if n.Netns == c.Netns {
				countUse(used, &n, &c)
			}
		}
	}
	return []*family{info, used, limits}
}

// countUse counts the connection for each endpoint that it has a subflow from.
func countUse(used *family, n *track.Snapshot, c *mptcp.Connection) {
	for i := range n.Endpoints {
		address := n.Endpoints[i].Address.Unmap()
		for j := range c.Subflows {
			if c.Subflows[j].Local.Addr() == address {
				used.add(1, n.Netns, strconv.Itoa(int(n.Endpoints[i].ID)))
				break
			}
		}
	}
}

// gatherCounters returns the kernel's own counters, each under its name.
func gatherCounters(s *track.State) []*family {
	byName := map[string]*family{}
	for _, n := range s.Namespaces() {
		for name, value := range s.Counters(n.Netns) {
			f := byName[name]
			if f == nil {
				f = newCounterFamily(name)
				byName[name] = f
			}
			f.set(float64(value), n.Netns)
		}
	}
	families := make([]*family, 0, len(byName))
	for _, name := range sortedKeys(byName) {
		families = append(families, byName[name])
	}
	return families
}

func newCounterFamily(name string) *family {
	help := "Counter " + name + " of the kernel."
	if d, ok := counters.Describe(name); ok {
		help = "Kernel counter " + name + ": " + d.Meaning
	}
	if counters.IsGauge(name) {
		return newFamily(gauge, "mptcp_mib_"+snake(name), help, "netns")
	}
	return newFamily(counter, "mptcp_mib_"+snake(name)+"_total", help, "netns")
}

// snake returns a counter's name in lower case with underscores between its words:
// MPCapableSYNRX becomes mp_capable_syn_rx.
func snake(name string) string {
	letters := []rune(strings.ReplaceAll(name, "HMac", "Hmac")) // one word, whatever the kernel writes
	var b strings.Builder
	for i, r := range letters {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) || r > unicode.MaxASCII {
			b.WriteByte('_')
			continue
		}
		if i > 0 && unicode.IsUpper(r) {
			begins := i+1 < len(letters) && unicode.IsLower(letters[i+1])
			if !unicode.IsUpper(letters[i-1]) || begins {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
