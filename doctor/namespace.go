package doctor

import (
	"fmt"
	"slices"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/shell"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// elsewhere is D48: what belongs together is in two network namespaces, or what is
// looked for is in another one.
func elsewhere(v *view) []Finding {
	if n, ok := v.connectionsElsewhere(); ok {
		return []Finding{n}
	}
	if n, ok := v.endpointsElsewhere(); ok {
		return []Finding{n}
	}
	if len(v.Connections)+len(v.Listeners) > 0 || v.Focus != "" {
		return nil
	}
	var busy []string
	for i := range v.Elsewhere {
		if n := &v.Elsewhere[i]; n.Connections > 0 {
			busy = append(busy, n.evidence())
		}
	}
	if len(busy) == 0 {
		return nil
	}
	return []Finding{{
		Rule: rule.WrongNamespace, Severity: Info, Confidence: track.Certain,
		Title:    "MPTCP is used in another network namespace, not in this one",
		Subject:  Subject{Netns: v.Netns},
		Evidence: busy,
		Fix:      []string{"mptcpctl -a connection show", "mptcpctl -a doctor"},
		Excluded: excluding("the list of MPTCP sockets of this namespace is empty, also of those that fell back",
			rule.PeerWithoutMPTCP, rule.Blackhole),
	}}
}

// connectionsElsewhere finds endpoints that were never of use here, and connections
// without any in a namespace whose packets come through this one.
func (v *view) connectionsElsewhere() (Finding, bool) {
	if len(v.makers) == 0 || len(v.Connections)+len(v.Listeners) > 0 || v.Focus != "" || v.used() {
		return Finding{}, false
	}
	for i := range v.Elsewhere {
		n := &v.Elsewhere[i]
		if n.Single == 0 || n.Makers > 0 || !n.Behind {
			continue
		}
		return Finding{
			Rule:       rule.WrongNamespace,
			Severity:   wished(slices.ContainsFunc(slices.Concat(v.Managers, v.MaybeManagers), isNetworkManager)),
			Confidence: track.Likely,
			Title: "endpoints are configured here, but the connections are in another network namespace: " +
				n.Name,
			Subject: Subject{Netns: v.Netns},
			Evidence: []string{
				count(len(v.Endpoints), "endpoint") + " here, but no connection since the namespace was created",
				n.evidence(), "its default route leads to this namespace",
			},
			Fix: []string{
				"mptcpctl -n " + shell.Word(n.Name) +
					" paths   (what to add there: the namespace that connects needs endpoints, an address and a route)",
				"or run the program in this namespace",
			},
		}, true
	}
	return Finding{}, false
}

// endpointsElsewhere finds connections with one subflow that have no endpoint, and a
// namespace on their way whose endpoints were never of use.
func (v *view) endpointsElsewhere() (Finding, bool) {
	if len(v.Endpoints) > 0 || single(v) == 0 {
		return Finding{}, false
	}
	for i := range v.Elsewhere {
		n := &v.Elsewhere[i]
		if n.Makers == 0 || n.Connections > 0 || n.Used || !n.Ahead {
			continue
		}
		return Finding{
			Rule: rule.WrongNamespace, Severity: wished(n.Managed), Confidence: track.Likely,
			Title:   "the connections are here, but the endpoints are in another network namespace: " + n.Name,
			Subject: Subject{Netns: v.Netns},
			Evidence: []string{
				count(single(v), "connection") + " with one subflow here, but no endpoint",
				n.evidence() + ", never used", "the default route here leads to that namespace",
			},
			Fix: []string{
				"mptcpctl paths   (what to add here, for a second address of this namespace)",
				"or run the program in the other namespace: nsenter or ip netns exec",
			},
		}, true
	}
	return Finding{}, false
}

// wished is how bad it is that endpoints are of no use: NetworkManager makes them
// without being asked.
func wished(networkManager bool) Severity {
	if networkManager {
		return Info
	}
	return Warn
}

func isNetworkManager(p mptcp.Process) bool { return p.Name == "NetworkManager" }

// single counts the connections that were made here, are ready for further subflows,
// and have one.
func single(v *view) int {
	n := 0
	for _, c := range v.clients {
		if c.SubflowsUp() == 1 && ready(c) {
			n++
		}
	}
	return n
}

// used reports whether MPTCP connections were made or accepted here before.
func (v *view) used() bool {
	return v.MPTCP.Now.Len() == 0 || v.total("MPCapableSYNTX")+v.total("MPCapableSYNRX") > 0
}

// evidence tells what the namespace holds.
func (n *Namespace) evidence() string {
	name := n.Name
	if n.Hint != "" {
		name += " (" + n.Hint + ")"
	}
	return fmt.Sprintf("namespace %s: %s, %s", name, count(n.Connections, "connection"), count(n.Endpoints, "endpoint"))
}

// CountEndpoints enters endpoints into what a namespace holds.
func (n *Namespace) CountEndpoints(list []mptcp.Endpoint) {
	n.Endpoints = len(list)
	for _, e := range list {
		if e.Flags.CreatesSubflows() {
			n.Makers++
		}
	}
}
