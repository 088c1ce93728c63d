package ledger

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// HearAnnouncement is what happens when ADD_ADDR comes (mptcp_pm_add_addr_received). It
// is false where the kernel drops it because it is still busy with the last one: the
// peer sends it again.
func (m *Manager) HearAnnouncement(n Network, a Announcement) bool {
	known := a.ID != 0 || sameAddress(a.At, m.Remote)
	switch {
	case !known, a.ID > 0 && !m.AcceptAddresses && !m.deniedCase():
		n.Announce(Announcement{ID: a.ID, At: a.At, Echo: true})
	case m.todo&taskAnnounced != 0:
		return false
	default:
		m.todo |= taskAnnounced
		m.received = a
	}
	return true
}

// sameAddress compares as mptcp_addresses_equal does: the port counts where the first
// has one.
func sameAddress(a, b netip.AddrPort) bool {
	return a.Addr().Unmap() == b.Addr().Unmap() && (a.Port() == 0 || a.Port() == b.Port())
}

// useAnnounced makes joins to an announced address (mptcp_pm_nl_add_addr_received).
func (m *Manager) useAnnounced(n Network) {
	a := m.received
	n.Announce(Announcement{ID: a.ID, At: a.At, Echo: true})
	m.accountInitial()
	for _, f := range m.Flows {
		if sameAddress(a.At, f.Remote) {
			return
		}
	}
	to := a.At
	if to.Port() == 0 {
		to = netip.AddrPortFrom(to.Addr(), m.Remote.Port())
	}
	joins := m.locals(to, a.ID)
	if len(joins) == 0 {
		return
	}
	made := false
	for _, j := range joins {
		j.Remote, j.RemoteID = to, a.ID
		made = m.connect(n, j) || made
	}
	if !made {
		return
	}
	if a.ID != 0 {
		m.Accepted++
	}
	if m.Accepted >= int(m.Settings.Limits.AddAddrAccepted) || m.Extra >= m.limit() {
		m.AcceptAddresses = false
	}
}

// locals returns the joins to an announced address, and counts them
// (fill_local_addresses_vec).
func (m *Manager) locals(to netip.AddrPort, id mptcp.AddressID) []Join {
	denied := id != 0 && m.deniedCase()
	if list := m.meshLocals(to, denied); len(list) > 0 {
		return list
	}
	switch {
	case m.Settings.count(mptcp.FlagLaminar) > 0:
		return m.laminarLocal(to)
	case denied:
		return m.deniedLocals(to)
	}
	if m.Family == mptcp.FamilyINET && !to.Addr().Unmap().Is4() {
		return nil
	}
	m.Extra++
	return []Join{{}}
}

// meshLocals are the endpoints with the flag fullmesh, used before or not
// (fill_local_addresses_vec_fullmesh).
func (m *Manager) meshLocals(to netip.AddrPort, denied bool) []Join {
	var list []Join
	for _, e := range m.Settings.Endpoints {
		if !e.Flags.Has(mptcp.FlagFullmesh) || !m.familiesMatch(e.Address, to.Addr()) {
			continue
		}
		if denied && e.Flags.CreatesSubflows() {
			m.taken.add(e.ID)
			if e.ID != m.initialID {
				m.LocalUsed++
			}
		}
		m.Extra++
		list = append(list, m.joinOf(e))
		if m.Extra >= m.limit() {
			break
		}
	}
	return list
}

// laminarLocal is the first laminar endpoint without a subflow
// (fill_local_laminar_endp).
func (m *Manager) laminarLocal(to netip.AddrPort) []Join {
	var there idSet
	for _, f := range m.Flows {
		there.add(f.LocalID)
	}
	for _, e := range m.Settings.Endpoints {
		if !e.Flags.Has(mptcp.FlagLaminar) || !m.familiesMatch(e.Address, to.Addr()) || there.has(m.idOf(e)) {
			continue
		}
		if e.Flags.CreatesSubflows() {
			m.taken.add(e.ID)
			if e.ID != m.initialID {
				m.LocalUsed++
			}
		}
		m.Extra++
		j := m.joinOf(e)
		j.LocalID = e.ID
		return []Join{j}
	}
	return nil
}

// deniedLocals are the subflow endpoints, which cannot be used otherwise
// (fill_local_addresses_vec_c_flag).
func (m *Manager) deniedLocals(to netip.AddrPort) []Join {
	var list []Join
	for m.LocalUsed < m.Settings.count(mptcp.FlagSubflow) {
		e, ok := m.next(mptcp.FlagSubflow)
		if !ok {
			break
		}
		m.taken.add(e.ID)
		if !m.familiesMatch(e.Address, to.Addr()) || e.ID == m.initialID {
			continue
		}
		m.LocalUsed++
		m.Extra++
		list = append(list, m.joinOf(e))
		if m.Extra >= m.limit() {
			break
		}
	}
	return list
}

func (m *Manager) joinOf(e mptcp.Endpoint) Join {
	return Join{Local: e.Address, LocalID: m.idOf(e), IfIndex: e.IfIndex, Backup: e.Flags.Has(mptcp.FlagBackup)}
}
