package ledger

import (
	"fmt"
	"net/netip"

	"mptcpctl/mptcp"
)

// subflow returns the subflow of the connection between the two addresses, the one that
// got farthest; nil where there is none. Port 0 stands for any.
func subflow(c *mptcp.Connection, local netip.Addr, remote netip.AddrPort) *mptcp.Subflow {
	var best *mptcp.Subflow
	for i := range c.Subflows {
		s := &c.Subflows[i]
		if local.IsValid() && plain(s.Local.Addr()) != plain(local) {
			continue
		}
		if plain(s.Remote.Addr()) != plain(remote.Addr()) || remote.Port() != 0 && s.Remote.Port() != remote.Port() {
			continue
		}
		if s.State == mptcp.SubflowClosed || s.State == mptcp.SubflowClosing {
			continue
		}
		if best == nil || s.State.Up() && !best.State.Up() {
			best = s
		}
	}
	return best
}

// unlisted reports whether the connection counts more subflows than were listed: its
// figures and its subflows were read at two moments, and a subflow came between.
func unlisted(c *mptcp.Connection) bool {
	listed := 0
	for i := range c.Subflows {
		if s := &c.Subflows[i]; !s.Initial && s.State != mptcp.SubflowClosed {
			listed++
		}
	}
	return int(c.Limits.Subflows) > listed
}

// setUnlisted says that the subflow may be one of those that the connection counts and
// that were not listed.
func (e *Entry) setUnlisted(c *mptcp.Connection) {
	if unlisted(c) {
		e.set(Reach{SynOut, Waiting})
		e.set(Reach{Up, Working})
	}
}

// alive returns how far a subflow that is there has got.
func alive(c *mptcp.Connection, s *mptcp.Subflow) (Reach, string) {
	between := fmt.Sprintf("subflow %s to %s", s.Local, s.Remote)
	switch {
	case s.State == mptcp.SubflowPending && (s.TCP == mptcp.StateSynRecv || s.TCP == mptcp.StateNewSynRecv):
		return Reach{OneSided, WaitingForPeer}, between + ": syn-recv"
	case s.State == mptcp.SubflowPending && (s.Backoff > 0 || s.Lost > 0):
		return Reach{SynOut, Unanswered}, between + ": the SYN was sent again"
	case s.State == mptcp.SubflowPending:
		return Reach{SynOut, Waiting}, between + ": syn-sent"
	case s.State == mptcp.SubflowSilent:
		return Reach{Idle, Silent}, between + " is silent"
	case s.State == mptcp.SubflowStale:
		return Reach{Idle, Stale}, between + " is stale"
	case !s.Initial && madeHere(c, s) && !s.FullyEstablished:
		return Reach{OneSided, WaitingForPeer}, between + " is not fully established"
	case (s.BackupLocal || s.BackupRemote) && s.BytesSent+s.BytesReceived == 0:
		return Reach{Idle, Backup}, between + " is a backup"
	}
	return Reach{Up, Working}, between + " is up"
}
