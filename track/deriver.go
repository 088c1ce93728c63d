package track

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// deriver finds the causes of what the kernel does not announce in the MPTCP counters of
// the network namespaces. A rise is evidence for one event; then it is accounted for.
type deriver struct {
	rises map[string][]rise // by namespace
}

// rise is by how much a counter rose, less what deltas have accounted for.
type rise struct {
	name string
	by   uint64
	at   time.Time
	// whole says that the namespace is new and this is its first reading: part of the
	// rise may be from before its events were heard.
	whole bool
}

// riseTime is for how long a rise may explain what is found later.
const riseTime = 10 * time.Second

// compare notes which counters have risen since the namespace was read last, and
// forgets what rose long ago.
func (v *deriver) compare(n *namespace, counters Counters, now time.Time) {
	netns := n.snapshot.Netns
	kept := slices.DeleteFunc(v.rises[netns], func(m rise) bool { return m.by == 0 || now.Sub(m.at) > riseTime })
	for _, names := range compared() {
		for _, name := range names {
			// Nothing has risen before there was something to compare with.
			if before, ok := n.counters[name]; ok && counters[name] > before {
				kept = append(kept, rise{name, counters[name] - before, now, n.unread})
			}
		}
	}
	v.rises[netns] = kept
}

// forget forgets the namespaces that are not covered any more.
func (v *deriver) forget(covered map[string]bool) {
	for netns := range v.rises {
		if !covered[netns] {
			delete(v.rises, netns)
		}
	}
}

// risen returns the rises of these counters that are not accounted for.
func (v *deriver) risen(netns string, names []string) map[string]uint64 {
	out := make(map[string]uint64)
	for _, m := range v.rises[netns] {
		if m.by > 0 && slices.Contains(names, m.name) {
			out[m.name] += m.by
		}
	}
	return out
}

// unsure returns the confidence that a rise allows: at most Likely in a new namespace,
// where part of it may be from before its events were heard.
func (v *deriver) unsure(netns, name string, sure Confidence) Confidence {
	if slices.ContainsFunc(v.rises[netns], func(m rise) bool { return m.whole && m.by > 0 && m.name == name }) {
		return min(sure, Likely)
	}
	return sure
}

// account notes that n of the rise of a counter are explained.
func (v *deriver) account(netns, name string, n uint64) {
	list := v.rises[netns]
	for i := range list {
		if list[i].name == name {
			part := min(n, list[i].by)
			list[i].by -= part
			n -= part
		}
	}
}

// cause explains one event by the counters that rose. If one did, it is certainly the
// cause; of several, any may be.
func (v *deriver) cause(netns string, names []string) (cause string, evidence []string, sure Confidence) {
	risen := v.risen(netns, names)
	var found []string
	for _, name := range names {
		if by, ok := risen[name]; ok {
			found = append(found, name)
			evidence = append(evidence, fmt.Sprintf("counter %s rose by %d", name, by))
		}
	}
	switch len(found) {
	case 0:
		return "", nil, ConfidenceNone
	case 1:
		sure = v.unsure(netns, found[0], Certain)
		v.account(netns, found[0], 1)
		return found[0], evidence, sure
	}
	return strings.Join(found, " or "), evidence, Likely
}
