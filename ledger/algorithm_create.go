package ledger

import (
	"net/netip"

	"mptcpctl/mptcp"
)

// create is mptcp_pm_create_subflow_or_signal_addr: it announces the next address, then
// makes joins from all endpoints that are left, until the limit is reached.
func (m *Manager) create(n Network) {
	m.accountInitial()
	if !m.Established {
		return
	}
	announced, both := m.announceNext(n)
	if !m.deniedCase() {
		for m.LocalUsed < m.Settings.count(mptcp.FlagSubflow) && m.Extra < m.limit() {
			e, ok := announced, both
			id := m.idOf(announced)
			if both {
				both = false
			} else {
				e, ok = m.next(mptcp.FlagSubflow)
				id = e.ID
			}
			if !ok {
				break
			}
			m.joinFrom(n, e, id)
		}
	}
	if both {
		m.LocalUsed++ // announced, and no subflow may be made: it counts as used
	}
	m.checkPending()
}

// accountInitial looks for the endpoint that the initial subflow goes from: no other
// subflow is made from it (mptcp_mpc_endpoint_setup).
func (m *Manager) accountInitial() {
	if m.accounted {
		return
	}
	m.accounted = true
	if e, ok := m.Settings.find(m.Local); ok {
		m.taken.add(e.ID)
		m.initialID = e.ID
	}
}

// next returns the first endpoint with the flag that has not been used
// (select_local_address, select_signal_address).
func (m *Manager) next(flag mptcp.EndpointFlags) (mptcp.Endpoint, bool) {
	for _, e := range m.Settings.Endpoints {
		if e.Flags.Has(flag) && !m.taken.has(e.ID) {
			return e, true
		}
	}
	return mptcp.Endpoint{}, false
}

// announceNext announces one address, if one is left. It is true where a subflow is to
// be made from it as well.
func (m *Manager) announceNext(n Network) (e mptcp.Endpoint, both bool) {
	if m.Announced >= m.Settings.count(mptcp.FlagSignal) {
		return e, false
	}
	e, ok := m.next(mptcp.FlagSignal)
	if !ok {
		return e, false
	}
	at := netip.AddrPortFrom(e.Address, e.Port)
	m.sent = append(m.sent, at)
	m.taken.add(e.ID)
	m.Announced++
	if !n.Announce(Announcement{ID: m.idOf(e), At: at}) {
		m.JoinUp() // the next one, at once
	}
	return e, e.Flags.CreatesSubflows()
}

// joinFrom makes the joins from an endpoint; id is what it is known by so far.
func (m *Manager) joinFrom(n Network, e mptcp.Endpoint, id mptcp.AddressID) {
	m.taken.add(id)
	if id == m.initialID {
		id = 0
	} else {
		m.LocalUsed++
	}
	for _, to := range m.targets(e, id) {
		m.connect(n, Join{
			Local: e.Address, LocalID: id, IfIndex: e.IfIndex,
			Remote: to.At, RemoteID: to.ID, Backup: e.Flags.Has(mptcp.FlagBackup),
		})
	}
}

// targets returns the addresses of the peer that joins from the endpoint go to, and
// counts the joins (fill_remote_addresses_vec).
func (m *Manager) targets(e mptcp.Endpoint, id mptcp.AddressID) []Announcement {
	if e.Flags.Has(mptcp.FlagFullmesh) {
		return m.meshTargets(e, id)
	}
	if m.Denied || !m.familiesMatch(e.Address, m.Remote.Addr()) {
		return nil
	}
	m.Extra++
	return []Announcement{{At: m.Remote}}
}

// meshTargets are the addresses of the peer that subflows go to already
// (fill_remote_addresses_fullmesh). The kernel keeps the initial subflow in its list when
// that has ended.
func (m *Manager) meshTargets(e mptcp.Endpoint, id mptcp.AddressID) []Announcement {
	flows := m.Flows
	if m.lostFirst {
		flows = append([]Flow{{Local: m.Local, Remote: m.Remote, Initial: true}}, flows...)
	}
	var there idSet
	for _, f := range flows {
		if f.LocalID == id {
			there.add(f.RemoteID)
		}
	}
	var list []Announcement
	for _, f := range flows {
		if m.Denied && f.RemoteID == 0 || there.has(f.RemoteID) || !m.familiesMatch(e.Address, f.Remote.Addr()) {
			continue
		}
		there.add(f.RemoteID)
		m.Extra++
		list = append(list, Announcement{ID: f.RemoteID, At: f.Remote})
		if m.Extra >= m.limit() {
			break
		}
	}
	return list
}

// connect begins a join that has been counted (__mptcp_subflow_connect).
func (m *Manager) connect(n Network, j Join) bool {
	number, from, ok := n.Connect(j)
	if !ok {
		m.uncount()
		return false
	}
	if !j.Local.IsValid() {
		j.LocalID = m.localID(netip.AddrPortFrom(from, 0))
	}
	m.Flows = append(m.Flows, Flow{
		ID: number, Local: netip.AddrPortFrom(from, 0), LocalID: j.LocalID, Remote: j.Remote, RemoteID: j.RemoteID,
		Made: true,
	})
	return true
}

// uncount takes a subflow back that has been counted (__mptcp_pm_close_subflow).
func (m *Manager) uncount() {
	m.Extra--
	if m.Extra < m.limit() {
		m.AcceptSubflows = true
	}
}

// checkPending reports whether there may be more to do, and remembers for the life of
// the connection where there is not (mptcp_pm_nl_check_work_pending).
func (m *Manager) checkPending() bool {
	left := false
	for _, e := range m.Settings.Endpoints {
		left = left || !m.taken.has(e.ID)
	}
	if m.Extra == m.limit() || !left {
		m.Pending = false
		return false
	}
	return true
}
