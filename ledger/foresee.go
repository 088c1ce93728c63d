package ledger

import (
	"fmt"
	"net/netip"
	"slices"

	"mptcpctl/mptcp"
)

// Foresee returns the entries of joins to the peer of a connection that would begin now:
// what the path manager does as soon as the connection is fully established, if the peer
// announces nothing and answers nothing yet. A join that it makes is at the stage SynOut,
// one that fails at once at NotPossible, and what it does not try at NotDue. Of the facts
// it takes the settings, the addresses, links and lookups, and no connection.
func Foresee(f Facts, local, remote netip.AddrPort) []Entry {
	f.Connections, f.Events = nil, nil
	a := newAccount(&f)
	s := &Settings{Endpoints: slices.Clone(f.Endpoints)}
	for i := range s.Endpoints {
		if s.Endpoints[i].ID == 0 { // one that is still to be added
			s.Endpoints[i].ID = s.free()
		}
	}
	if f.Limits != nil {
		s.Limits = *f.Limits
	}
	m := Birth(s, a.rules, local, remote)
	m.FullyEstablish()
	n := &trial{account: a, made: map[netip.Addr]Cause{}}
	for m.Busy() {
		m.Work(n)
	}
	c := &mptcp.Connection{
		Family: m.Family, Side: mptcp.SideClient, State: mptcp.StateEstablished, PathManager: "kernel",
		Local: local, Remote: remote, BytesReceived: 1,
		Subflows: []mptcp.Subflow{
			{Local: local, Remote: remote, Initial: true, State: mptcp.SubflowEstablished, FullyEstablished: true},
		},
	}
	if f.Userspace {
		c.PathManager = "userspace"
	}
	var list []Entry
	for _, e := range f.Endpoints {
		if e.Flags.Has(mptcp.FlagImplicit) {
			continue
		}
		entry := Entry{Candidate: Candidate{Kind: JoinPeer, Endpoint: e, Remote: remote}}
		a.foresee(m, n, c, &entry)
		list = append(list, entry)
	}
	return list
}

// foresee finds the stage of one endpoint after the trial.
func (a *account) foresee(m *Manager, n *trial, c *mptcp.Connection, entry *Entry) {
	e := entry.Endpoint
	if cause, line := a.notDue(c, e, entry.Remote, 0); cause != NoCause {
		entry.set(Reach{NotDue, cause}, line)
		return
	}
	entry.Obstacle, entry.SharesLink = a.obstacle(e, entry.Remote.Addr()), a.ground.sharesLink(c, e)
	limits := fmt.Sprintf("limits: subflows %d", m.limit())
	switch cause, tried := n.made[plain(e.Address)]; {
	case tried && cause != NoCause:
		entry.set(Reach{NotPossible, cause})
	case tried:
		entry.set(Reach{SynOut, Waiting})
	case m.limit() == 0:
		entry.set(Reach{NotDue, NoSubflowsAllowed}, limits)
	default:
		entry.set(Reach{NotDue, LimitReached}, limits)
	}
}

// trial is a Network that sends nothing: a join fails if an obstacle is known.
type trial struct {
	account *account
	made    map[netip.Addr]Cause // by the address that a join goes from
	joins   int
}

func (n *trial) Connect(j Join) (int, netip.Addr, bool) {
	cause := n.account.obstacle(mptcp.Endpoint{Address: j.Local, IfIndex: j.IfIndex}, j.Remote.Addr())
	n.made[plain(j.Local)] = cause
	n.joins++
	return n.joins, j.Local, cause == NoCause
}

func (*trial) Announce(Announcement) bool { return true }
func (*trial) Withdraw([]mptcp.AddressID) {}
func (*trial) Close(Flow)                 {}
