package ledger

import (
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// FullyEstablish is what happens when the connection becomes fully established
// (mptcp_pm_fully_established).
func (m *Manager) FullyEstablish() {
	m.Established = true
	if m.Pending && m.todo&wasEstablished == 0 {
		m.todo |= taskEstablished
	}
	m.todo |= wasEstablished
}

// Hurry is what happens when an answer came while the worker that had asked was still
// busy, and was yet to find that nothing was left to do.
func (m *Manager) Hurry() { m.todo |= taskNext }

// HearEcho is what happens when an announced address comes back
// (mptcp_pm_add_addr_echoed).
func (m *Manager) HearEcho(a Announcement) {
	if m.Pending && slices.Contains(m.sent, a.At) {
		m.todo |= taskNext
	}
}

// Joined is what happens when the peer answers a join made here: the id that it gives
// its address is its own, whatever was announced (subflow_finish_connect).
func (m *Manager) Joined(number int, remoteID mptcp.AddressID) {
	for i := range m.Flows {
		if m.Flows[i].ID == number {
			m.Flows[i].RemoteID = remoteID
		}
	}
}

// JoinUp is what happens when a join is fully established
// (mptcp_pm_subflow_established).
func (m *Manager) JoinUp() {
	if m.Pending {
		m.todo |= taskNext
	}
}

// Take decides on a join of the peer, and counts it (mptcp_pm_allow_new_subflow). It is
// false where the limit forbids it.
func (m *Manager) Take(number int, local, remote netip.AddrPort, remoteID mptcp.AddressID) bool {
	id := m.localID(local) // already when its SYN comes
	if !m.Established || !m.AcceptSubflows || m.Extra >= m.limit() {
		return false
	}
	m.Extra++
	if m.Extra == m.limit() {
		m.AcceptSubflows = false
	}
	m.Flows = append(m.Flows, Flow{ID: number, Local: local, LocalID: id, Remote: remote, RemoteID: remoteID})
	return true
}

// Ended is what happens when a subflow has ended, whichever end closed it
// (mptcp_pm_subflow_check_next).
func (m *Manager) Ended(number int) {
	i := slices.IndexFunc(m.Flows, func(f Flow) bool { return f.ID == number })
	if i < 0 {
		return
	}
	f := m.Flows[i]
	m.Flows = slices.Delete(slices.Clone(m.Flows), i, i+1)
	m.lostFirst = m.lostFirst || f.Initial
	m.checkNext(f)
}

func (m *Manager) checkNext(f Flow) {
	if f.Initial && !m.Pending {
		return
	}
	if !f.Initial {
		m.uncount()
	}
	if m.Established && m.checkPending() {
		m.todo |= taskNext
	}
}

// HearWithdrawal is what happens when RM_ADDR comes (mptcp_pm_rm_addr_received). It is
// false where the kernel drops it because it is still busy with the last one.
func (m *Manager) HearWithdrawal(ids []mptcp.AddressID) bool {
	if m.todo&taskRemoved != 0 {
		return false
	}
	m.todo |= taskRemoved
	m.removed = slices.Clone(ids)
	return true
}

// forget closes the subflows to withdrawn addresses (mptcp_pm_rm_addr_recv).
func (m *Manager) forget(n Network) {
	for _, id := range m.removed {
		made := false
		for _, f := range slices.Clone(m.Flows) {
			if f.RemoteID == id {
				made = made || f.Made
				m.close(n, f)
			}
		}
		if made && id != 0 {
			m.Accepted--
			if m.Accepted < int(m.Settings.Limits.AddAddrAccepted) {
				m.AcceptAddresses = true
			}
		}
	}
}

// close ends a subflow from this end.
func (m *Manager) close(n Network, f Flow) {
	n.Close(f)
	m.Ended(f.ID)
}

// closeFrom ends the subflows with that local id (mptcp_pm_rm_subflow).
func (m *Manager) closeFrom(n Network, id mptcp.AddressID) {
	for _, f := range slices.Clone(m.Flows) {
		if f.LocalID == id {
			m.close(n, f)
		}
	}
}

// Busy reports whether there is work for Work.
func (m *Manager) Busy() bool { return m.todo&work != 0 }

// Work does the first thing of those that have been put off until a worker runs, in the
// worker's order (mptcp_pm_worker). Call it until the manager is no longer Busy.
func (m *Manager) Work(n Network) {
	for _, t := range []task{taskRemoved, taskAnnounced, taskEstablished, taskNext} {
		if m.todo&t == 0 {
			continue
		}
		m.todo &^= t
		switch t {
		case taskRemoved:
			m.forget(n)
		case taskAnnounced:
			m.useAnnounced(n)
		default:
			m.create(n)
		}
		return
	}
}
