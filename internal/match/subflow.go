package match

import "mptcpctl/mptcp"

// Subflows matches the subflows of the two ends of one connection: by addresses and ports,
// else by the ids of their addresses, which NAT does not change (RFC 8684 section 3.2). Those
// that have closed are left unmatched where a living one has the same ids.
func Subflows(here, there *mptcp.Connection) Ends {
	one, other := here.Subflows, there.Subflows
	m := newMatcher(len(one), len(other))
	m.join(Addresses, func(take func(a, b int)) {
		common(flowsOf(one, false), flowsOf(other, true), func(_ flow, a, b int) { take(a, b) })
	}, func(int, int) bool { return true })
	m.join(IDs, func(take func(a, b int)) {
		common(idsOf(one, m.free, false), idsOf(other, m.freeThere, true), func(_ ids, a, b int) { take(a, b) })
	}, func(a, b int) bool { return one[a].Initial == other[b].Initial })
	return m.ends()
}

func (m *matcher) free(i int) bool      { return m.here[i].By == 0 }
func (m *matcher) freeThere(i int) bool { return !m.there[i] }

func flowsOf(list []mptcp.Subflow, reversed bool) map[flow]int {
	found := make(map[flow]int, len(list))
	for i := range list {
		f, ok := flowOf(list[i].Local, list[i].Remote)
		if reversed {
			f = f.reversed()
		}
		if ok {
			put(found, f, i)
		}
	}
	return found
}

// ids are those of the addresses that a subflow is between.
type ids struct {
	local, remote mptcp.AddressID
	initial       bool
}

func idsOf(list []mptcp.Subflow, free func(int) bool, reversed bool) map[ids]int {
	living, ended := map[ids]int{}, map[ids]int{}
	for i := range list {
		if !free(i) {
			continue
		}
		s := &list[i]
		id := ids{s.LocalID, s.RemoteID, s.Initial}
		if reversed {
			id.local, id.remote = id.remote, id.local
		}
		if s.State == mptcp.SubflowClosed {
			put(ended, id, i)
		} else {
			put(living, id, i)
		}
	}
	for id, i := range ended {
		if _, alive := living[id]; !alive {
			living[id] = i
		}
	}
	return living
}
