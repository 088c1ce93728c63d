package doctor

import (
	"fmt"

	"mptcpctl/doctor/rule"
	"mptcpctl/track"
)

// foreignJoins is D40 on the host that is reached by mistake: joins come for
// connections that it does not have.
func foreignJoins(v *view) []Finding {
	const few = 3
	lost, joins := v.moved("MPJoinNoTokenFound"), v.moved("MPJoinSynRx")
	f := Finding{
		Rule: rule.LoadBalancer, Severity: Warn, Confidence: track.Likely,
		Title:   "joins arrive here that belong to connections of another server",
		Subject: Subject{Netns: v.Netns},
		Fix: []string{
			"behind a load balancer: sysctl -w net.mptcp.allow_join_initial_addr_port=0",
			"and give each server its own address to announce (mptcpctl endpoint add, with port and signal)",
		},
	}
	// A join that crosses with the end of its connection is normal: most of the
	// joins must miss before it means anything.
	if lost >= few && 2*lost > joins {
		f.Evidence = []string{
			fmt.Sprintf("MPJoinNoTokenFound: %d of %d joins in %s", lost, max(joins, lost), v.MPTCP.Window),
		}
		return []Finding{f}
	}
	lost, joins = v.total("MPJoinNoTokenFound"), v.total("MPJoinSynRx")
	if lost == 0 || 2*lost <= joins || !v.serves() {
		return nil
	}
	f.Severity, f.Confidence = Info, track.Possible
	f.Evidence = []string{
		fmt.Sprintf("MPJoinNoTokenFound: %d of %d joins since the namespace was created", lost, max(joins, lost)),
	}
	return []Finding{f}
}

// lostEvents is D49: events were lost before they could be read.
func lostEvents(v *view) []Finding {
	if v.EventsLost == 0 {
		return nil
	}
	return []Finding{{
		Rule: rule.EventsLost, Severity: Warn, Confidence: track.Certain,
		Title:    fmt.Sprintf("%d events were lost before they could be read", v.EventsLost),
		Subject:  Subject{Netns: v.Netns},
		Evidence: []string{fmt.Sprintf("lost since %s: %d", v.EventsSince.UTC().Format("15:04:05"), v.EventsLost)},
		Fix:      []string{"sysctl -w net.core.rmem_max=67108864   (or run with CAP_NET_ADMIN of the host)"},
		Excluded: excluding("the kernel counts for the reader's socket each event that it dropped"),
	}}
}

// oldIPRoute2 is D50: the ip command does not know what this kernel says.
func oldIPRoute2(v *view) []Finding {
	if v.IPRoute2 == "" {
		return nil
	}
	var what string
	switch {
	case v.Kernel.atLeast(6, 2) && !versionAtLeast(v.IPRoute2, 6, 2):
		what = "it prints listener events as UNKNOWN 15 and 16"
	case v.Kernel.atLeast(6, 18) && !versionAtLeast(v.IPRoute2, 6, 19):
		what = "it prints server_side as flags=2, and does not support laminar endpoints"
	default:
		return nil
	}
	return []Finding{{
		Rule: rule.OldIPRoute2, Severity: Info, Confidence: track.Certain,
		Title:    "the ip command is older than the kernel",
		host:     true,
		Evidence: []string{fmt.Sprintf("iproute2 %s, kernel %s: %s", v.IPRoute2, v.Kernel.Release, what)},
		Fix:      []string{"use mptcpctl monitor, endpoint and limits instead"},
		Excluded: excluding("both tell their versions"),
	}}
}
