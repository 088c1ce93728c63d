package ledger

import (
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// EndpointAdded is what a living connection does when an endpoint has been added to its
// settings (mptcp_nl_add_subflow_or_signal_addr): it looks at all endpoints again, not
// only at the new one.
func (m *Manager) EndpointAdded(n Network, e mptcp.Endpoint) {
	if !m.Established {
		return
	}
	if sameAddress(netip.AddrPortFrom(e.Address, e.Port), m.Local) {
		m.initialID = e.ID
	}
	m.create(n)
}

// EndpointRemoved is what a living connection does when an endpoint has been taken out
// of its settings (mptcp_nl_remove_subflow_and_signal_addr).
func (m *Manager) EndpointRemoved(n Network, e mptcp.Endpoint) {
	used := m.goesFrom(e)
	id := m.idOf(e)
	announced := m.unannounce(e)
	if announced || used && !e.Flags.Has(mptcp.FlagImplicit) {
		n.Withdraw([]mptcp.AddressID{id})
	}
	if used {
		m.closeFrom(n, id)
	}
	if e.Flags.CreatesSubflows() {
		m.release(id)
	} else {
		m.taken.remove(e.ID)
	}
	if m.initialID == e.ID {
		m.initialID = 0
	}
}

// goesFrom reports whether a subflow has the endpoint's address
// (mptcp_pm_has_subflow_saddr).
func (m *Manager) goesFrom(e mptcp.Endpoint) bool {
	return slices.ContainsFunc(m.Flows, func(f Flow) bool {
		return sameAddress(netip.AddrPortFrom(e.Address, e.Port), f.Local)
	})
}

// unannounce forgets that the endpoint was announced, and reports whether it was.
func (m *Manager) unannounce(e mptcp.Endpoint) bool {
	i := slices.Index(m.sent, netip.AddrPortFrom(e.Address, e.Port))
	if i < 0 {
		return false
	}
	m.sent = slices.Delete(slices.Clone(m.sent), i, i+1)
	m.Announced--
	return true
}

// release makes an endpoint available again (__mark_subflow_endp_available).
func (m *Manager) release(id mptcp.AddressID) {
	bit := id
	if id == 0 {
		bit = m.initialID
	}
	if m.taken.has(bit) && id != 0 && m.LocalUsed > 0 {
		m.LocalUsed--
	}
	m.taken.remove(bit)
}

// EndpointChanged is what a living connection does when flags of an endpoint have
// changed (mptcp_pm_nl_set_flags_all): with fullmesh, its subflows are made anew.
func (m *Manager) EndpointChanged(n Network, e mptcp.Endpoint, changed mptcp.EndpointFlags) {
	if !changed.Has(mptcp.FlagFullmesh) || !e.Flags.CreatesSubflows() || len(m.Flows) == 0 {
		return
	}
	id := m.idOf(e)
	m.closeFrom(n, id)
	m.release(id)
	m.create(n)
}

// EndpointsFlushed is what a living connection does when all endpoints have been taken
// out of its settings (mptcp_pm_flush_addrs_and_subflows).
func (m *Manager) EndpointsFlushed(n Network, gone []mptcp.Endpoint) {
	if len(gone) == 0 {
		return
	}
	var announced, used []mptcp.AddressID
	for _, e := range gone {
		if m.goesFrom(e) {
			used = append(used, m.idOf(e))
		}
		if m.unannounce(e) {
			announced = append(announced, m.idOf(e))
		}
	}
	if len(announced) > 0 {
		n.Withdraw(announced)
	}
	for _, id := range used {
		m.closeFrom(n, id)
	}
	m.taken = idSet{}
	m.LocalUsed = 0
}
