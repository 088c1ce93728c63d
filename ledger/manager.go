package ledger

import (
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// Manager is the in-kernel path manager at one end of one connection. Its fields are
// those of the kernel's struct mptcp_pm_data; the four counts are what mptcp_info shows.
// It acts through a [Network].
//
// A Manager is as atomic as the kernel is under the lock of the connection: what other
// processors do meanwhile comes before or after a call.
type Manager struct {
	Settings *Settings // of its network namespace
	Rules    Rules

	Local, Remote netip.AddrPort // of the initial subflow, unmapped
	Family        mptcp.Family   // of the socket: an IPv6 one may have IPv4 subflows
	Denied        bool           // the peer set the C-flag: no joins to its first address
	Established   bool           // fully established: the peer acknowledged data
	Flows         []Flow         // subflows, in the order in which they were made

	Extra           int // additional subflows, pending ones included: mptcpi_subflows
	LocalUsed       int // mptcpi_local_addr_used
	Announced       int // mptcpi_add_addr_signal
	Accepted        int // mptcpi_add_addr_accepted
	AcceptAddresses bool
	AcceptSubflows  bool
	Pending         bool // pm->work_pending: there may be more to do; once false it stays so

	taken     idSet // ids that are not in pm->id_avail_bitmap
	initialID mptcp.AddressID
	lostFirst bool // the initial subflow has ended
	accounted bool // the endpoint of the initial subflow has been looked for
	sent      []netip.AddrPort
	todo      task
	received  Announcement
	removed   []mptcp.AddressID
}

// Flow is a subflow as the path manager sees it.
type Flow struct {
	ID       int            // given by the Network
	Local    netip.AddrPort // port 0 where this end made the join
	Remote   netip.AddrPort
	LocalID  mptcp.AddressID
	RemoteID mptcp.AddressID
	Initial  bool
	Made     bool // a join made at this end
}

// Announcement is an address that one end announces to the other.
type Announcement struct {
	ID   mptcp.AddressID
	At   netip.AddrPort // port 0: that of the connection
	Echo bool
}

// Join is a subflow that the path manager begins.
type Join struct {
	Local    netip.Addr // not valid: the route decides
	LocalID  mptcp.AddressID
	IfIndex  int32
	Remote   netip.AddrPort
	RemoteID mptcp.AddressID
	Backup   bool
}

// Network carries out what a Manager decides.
type Network interface {
	// Connect sends the SYN of a join, and returns its number and the address that
	// it left from. It is false where no SYN could leave: no such address, no route.
	Connect(Join) (id int, from netip.Addr, ok bool)
	// Announce sends ADD_ADDR, or its echo. It is false where the option has no room
	// in a packet (an IPv6 address with a port, beside timestamps): it is never sent.
	Announce(Announcement) bool
	// Withdraw sends RM_ADDR.
	Withdraw([]mptcp.AddressID)
	// Close ends a subflow; the peer hears of it.
	Close(Flow)
}

// task is the set of what a worker is to do (enum mptcp_pm_status).
type task uint8

const (
	taskAnnounced task = 1 << iota // an announcement came
	taskRemoved
	taskEstablished
	taskNext
	wasEstablished
)

const work = taskAnnounced | taskRemoved | taskEstablished | taskNext

// idSet is a set of address ids.
type idSet [4]uint64

func (s *idSet) has(id mptcp.AddressID) bool { return s[id>>6]&(1<<(id&63)) != 0 }
func (s *idSet) add(id mptcp.AddressID)      { s[id>>6] |= 1 << (id & 63) }
func (s *idSet) remove(id mptcp.AddressID)   { s[id>>6] &^= 1 << (id & 63) }

// Birth returns the path manager of a connection that begins now with these settings
// (mptcp_pm_data_reset). They stay with it only in so far as a limit of 0 is
// remembered: the others are read again whenever they matter.
func Birth(s *Settings, r Rules, local, remote netip.AddrPort) *Manager {
	allowed := s.Limits.Subflows > 0
	return &Manager{
		Settings: s, Rules: r, Local: local, Remote: remote, Family: mptcp.FamilyOf(local.Addr()),
		Flows:           []Flow{{Local: local, Remote: remote, Initial: true}},
		Pending:         s.count(mptcp.FlagSubflow) > 0 && allowed || s.count(mptcp.FlagSignal) > 0,
		AcceptAddresses: s.Limits.AddAddrAccepted > 0 && allowed,
		AcceptSubflows:  allowed,
	}
}

// Clone returns a manager that shares nothing with this one.
func (m *Manager) Clone() *Manager {
	c := *m
	c.Settings = m.Settings.clone()
	c.Flows, c.sent, c.removed = slices.Clone(m.Flows), slices.Clone(m.sent), slices.Clone(m.removed)
	return &c
}

// limit is how many additional subflows there may be now.
func (m *Manager) limit() int { return int(m.Settings.Limits.Subflows) }

// familiesMatch reports whether a subflow can go from one address to the other
// (mptcp_pm_addr_families_match).
func (m *Manager) familiesMatch(local, remote netip.Addr) bool {
	local4, remote4 := local.Unmap().Is4(), remote.Unmap().Is4()
	if m.Family == mptcp.FamilyINET {
		return local4 && remote4
	}
	return local4 == remote4
}

// deniedCase reports whether an announced address is used although none may be
// accepted (mptcp_pm_add_addr_c_flag_case).
func (m *Manager) deniedCase() bool {
	return m.Rules.UsesDenied && m.Denied && m.LocalUsed == 0 && m.Settings.Limits.AddAddrAccepted == 0 &&
		m.Extra < m.limit()
}

// localID returns the id that a subflow from the address has; an address that is no
// endpoint becomes an implicit one (mptcp_pm_get_local_id).
func (m *Manager) localID(from netip.AddrPort) mptcp.AddressID {
	if from.Addr() == m.Local.Addr() {
		return 0
	}
	if e, ok := m.Settings.find(from); ok {
		return e.ID
	}
	e, _ := m.Settings.Add(mptcp.Endpoint{Address: from.Addr(), Flags: mptcp.FlagImplicit}, m.Rules.MostEndpoints)
	return e.ID
}

// idOf is the id that the connection knows the endpoint by.
func (m *Manager) idOf(e mptcp.Endpoint) mptcp.AddressID {
	if e.ID == m.initialID {
		return 0
	}
	return e.ID
}
