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
	tallies := tallyAll(s)
	return append(append(gatherConnections(tallies), gatherEndpoints(s, tallies)...), gatherCounters(s)...)
}

// tally is what the connections of one network namespace add up to.
type tally struct {
	netns     *track.Snapshot // nil: nothing but its connections is known
	name      string
	states    [sides][states]int // connections by side and state
	fallbacks int
	subflows  map[string]*[subflowStates]int // by device and state; the last is backup
	used      []int                          // connections, by the index of the endpoint
}

// Numbers of sides and states, as they are held.
const (
	sides         = 3
	states        = 16
	subflowStates = 9
	backup        = subflowStates - 1
)

// tallyAll counts all connections in one pass, by the names of their namespaces.
func tallyAll(s *track.State) map[string]*tally {
	tallies := make(map[string]*tally)
	of := func(name string) *tally {
		t := tallies[name]
		if t == nil {
			t = &tally{name: name, netns: s.Namespace(name), subflows: make(map[string]*[subflowStates]int)}
			if t.netns != nil {
				t.used = make([]int, len(t.netns.Endpoints))
			}
			tallies[name] = t
		}
		return t
	}
	for _, n := range s.Namespaces() {
		of(n.Netns)
	}
	var last *tally
	for now := range s.Since(nil) {
		if last == nil || last.name != now.Connection.Netns {
			last = of(now.Connection.Netns)
		}
		last.add(&now.Connection)
	}
	return tallies
}

func (t *tally) add(c *mptcp.Connection) {
	t.states[c.Side%sides][c.State%states]++
	if c.Fallback {
		t.fallbacks++
	}
	for i := range c.Subflows {
		device := c.Subflows[i].Device
		counts := t.subflows[device]
		if counts == nil {
			counts = new([subflowStates]int)
			t.subflows[device] = counts
		}
		counts[subflowState(&c.Subflows[i])]++
	}
	for i := range t.used {
		if c.SubflowFrom(t.netns.Endpoints[i].Address) != nil {
			t.used[i]++
		}
	}
}

// subflowState returns the number of the subflow's state, backup where it is one.
func subflowState(f *mptcp.Subflow) int {
	if f.State == mptcp.SubflowEstablished && (f.BackupLocal || f.BackupRemote) {
		return backup
	}
	return int(f.State % backup)
}

func gatherConnections(tallies map[string]*tally) []*family {
	connections := newFamily(gauge, "mptcp_connections",
		"MPTCP connections, those that fell back included.", "netns", "side", "state")
	fallback := newFamily(gauge, "mptcp_connections_fallback",
		"Connections that speak plain TCP since they fell back.", "netns")
	subflows := newFamily(gauge, "mptcp_subflows",
		"Subflows, by the device that they are bound to, else the one by which the routes send their packets. "+
			"An established one that either end asked to use as backup counts as backup.", "netns", "device", "state")
	for name, t := range tallies {
		fallback.set(float64(t.fallbacks), name)
		for side := range t.states {
			for state, n := range t.states[side] {
				usual := mptcp.Side(side) != mptcp.SideUnknown && mptcp.SocketState(state) == mptcp.StateEstablished
				if n > 0 || usual && t.netns != nil {
					connections.add(float64(n), name, mptcp.Side(side).String(), mptcp.SocketState(state).String())
				}
			}
		}
		for device, counts := range t.subflows {
			for state, n := range counts {
				if n > 0 {
					subflows.add(float64(n), name, device, subflowStateName(state))
				}
			}
		}
	}
	return []*family{connections, fallback, subflows}
}

func subflowStateName(state int) string {
	if state == backup {
		return "backup"
	}
	return mptcp.SubflowState(state).String()
}

func gatherEndpoints(s *track.State, tallies map[string]*tally) []*family {
	info := newFamily(
		gauge, "mptcp_endpoint_info", "An endpoint of the in-kernel path manager; the value is always 1.", "netns",
		"id", "address", "device", "flags",
	)
	used := newFamily(gauge, "mptcp_endpoint_connections",
		"Connections with a subflow from the address of the endpoint.", "netns", "id")
	limits := newFamily(gauge, "mptcp_limit",
		"Limits of the in-kernel path manager, for each connection.", "netns", "kind")
	for name, t := range tallies {
		if t.netns == nil {
			continue
		}
		limits.set(float64(t.netns.Limits.Subflows), name, "subflows")
		limits.set(float64(t.netns.Limits.AddAddrAccepted), name, "add_addr_accepted")
		for i := range t.netns.Endpoints {
			e := &t.netns.Endpoints[i]
			id := strconv.Itoa(int(e.ID))
			device := t.netns.EndpointDevice(e)
			info.set(1, name, id, e.Address.String(), device, strings.Join(e.Flags.Names(), ","))
			used.add(float64(t.used[i]), name, id)
		}
	}
	return []*family{info, used, limits}
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
