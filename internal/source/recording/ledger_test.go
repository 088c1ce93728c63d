package recording

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"mptcpctl/doctor"
	"mptcpctl/internal/source/gather"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// account is what the ledger says of one state of a recording.
type account struct {
	facts  doctor.Facts
	ledger ledger.Ledger
}

// accounts returns the account of each state of a recording.
func accounts(t *testing.T, name string) []account {
	t.Helper()
	r, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	var list []account
	for _, view := range r.States() {
		f, err := view.Facts(t.Context(), &gather.Config{})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, account{f, doctor.Account(f)})
	}
	return list
}

// TestLedgerOverKernels: on the recordings of all kernels no stage contradicts what the
// recording shows, at that time or later.
func TestLedgerOverKernels(t *testing.T) {
	kernels, err := filepath.Glob("testdata/*")
	if err != nil || len(kernels) < 4 {
		t.Fatalf("recordings of %d kernels: %v", len(kernels), err)
	}
	for _, kernel := range kernels {
		t.Run(filepath.Base(kernel), func(t *testing.T) {
			names, err := filepath.Glob(kernel + "/*.pcapng*")
			if err != nil || len(names) == 0 {
				t.Fatalf("no recordings: %v", err)
			}
			if filepath.Base(kernel) == "6.18" { // one where the server's limit refuses a join
				names = append(names, "../../cli/testdata/upgrade/plain.pcapng")
			}
			seen := map[string]int{}
			for _, name := range names {
				var before *account
				for _, now := range accounts(t, name) {
					checkAccount(t, name, &now, seen)
					checkForecast(t, name, before, &now, seen)
					checkMissed(t, name, &now, seen)
					before = &now
				}
			}
			for _, what := range []string{"join up", "announcement up", "announced address up", "not due", "settled", "missed"} {
				if seen[what] == 0 {
					t.Errorf("nothing shows an entry of this kind: %s", what)
				}
			}
			t.Log(seen)
		})
	}
}

// checkAccount holds the entries of a state against its subflows.
func checkAccount(t *testing.T, name string, a *account, seen map[string]int) {
	t.Helper()
	for i := range a.facts.Connections {
		c := &a.facts.Connections[i]
		told := map[*mptcp.Subflow]bool{}
		for e := range a.ledger.Connection(c.Token) {
			if len(e.Reached) == 0 {
				t.Errorf("%s: %v has no stage", name, e.Candidate)
			}
			checkStage(t, name, c, e, seen)
			if e.Subflow != nil {
				told[e.Subflow] = true
			}
		}
		if c.State != mptcp.StateEstablished {
			continue
		}
		for j := range c.Subflows {
			s := &c.Subflows[j]
			peers := c.Side == mptcp.SideServer && s.TokenRemote == 0 // what peers do is no candidate
			if !s.Initial && s.State.Up() && !told[s] && !peers {
				t.Errorf("%s: connection %s: the ledger has no entry of the subflow %v to %v", name, c.Token,
					s.Local, s.Remote)
			}
		}
	}
}

// checkStage holds the stages of an entry against the subflow between its addresses.
func checkStage(t *testing.T, name string, c *mptcp.Connection, e *ledger.Entry, seen map[string]int) {
	t.Helper()
	s := e.Subflow
	if s == nil {
		s = between(c, e)
	}
	up := e.Is(ledger.Up) || e.Is(ledger.Idle) || e.Is(ledger.OneSided)
	kind := [...]string{"join", "announcement", "announced address"}[e.Kind]
	switch {
	case s != nil && s.State.Up() && !up:
		t.Errorf("%s: the subflow %v to %v is up, and %s is at %v", name, s.Local, s.Remote, kind, e.Reached)
	case s == nil && e.Kind != ledger.Announce && up:
		t.Errorf("%s: there is no subflow, and %s from %v is at %v", name, kind, e.Endpoint.Address, e.Reached)
	case up:
		seen[kind+" up"]++
	case e.Is(ledger.NotDue):
		seen["not due"]++
	}
}

// between returns the subflow that is up between the addresses of an entry, which this end
// made: nil for none.
func between(c *mptcp.Connection, e *ledger.Entry) *mptcp.Subflow {
	if e.Kind == ledger.Announce || !e.Endpoint.Address.IsValid() && e.Kind == ledger.JoinPeer {
		return nil
	}
	for i := range c.Subflows {
		s := &c.Subflows[i]
		local := !e.Endpoint.Address.IsValid() || s.Local.Addr().Unmap() == e.Endpoint.Address.Unmap()
		if !s.Initial && s.State.Up() && local && s.Remote == e.Remote {
			return s
		}
	}
	return nil
}

// checkForecast: what the ledger says the kernel will not try by itself has no subflow in
// the next state, where nobody changed anything in between.
func checkForecast(t *testing.T, name string, before, now *account, seen map[string]int) {
	t.Helper()
	if before == nil || !slices.Equal(before.facts.Endpoints, now.facts.Endpoints) ||
		*before.facts.Limits != *now.facts.Limits {
		return
	}
	for i := range now.facts.Connections {
		c := &now.facts.Connections[i]
		for e := range before.ledger.Connection(c.Token) {
			if !settled(e) {
				continue
			}
			seen["settled"]++
			if s := between(c, e); s != nil {
				t.Errorf("%s: %v to %v came up, and was at %v", name, s.Local, s.Remote, e.Reached)
			}
		}
	}
}

// checkMissed: a subflow that the dump of sockets missed, while the connection counts it,
// may be up as far as the ledger can tell.
func checkMissed(t *testing.T, name string, a *account, seen map[string]int) {
	t.Helper()
	for i := range a.facts.Connections {
		c := &a.facts.Connections[i]
		for e := range a.ledger.Connection(c.Token) {
			if e.Kind == ledger.Announce || e.Subflow == nil || !countsAll(c) {
				continue
			}
			f := a.facts
			f.Connections = slices.Clone(f.Connections)
			f.Connections[i].Subflows = slices.DeleteFunc(slices.Clone(c.Subflows),
				func(s mptcp.Subflow) bool { return s.Local == e.Subflow.Local && s.Remote == e.Subflow.Remote })
			less := doctor.Account(f)
			for again := range less.Connection(c.Token) {
				if again.Kind != e.Kind || again.Endpoint.ID != e.Endpoint.ID || again.Remote != e.Remote {
					continue
				}
				seen["missed"]++
				if !again.May(ledger.Working) {
					t.Errorf("%s: %v to %v is not listed, and at %v", name, e.Subflow.Local, e.Remote, again.Reached)
				}
			}
		}
	}
}

// countsAll reports whether the connection counts all subflows that were listed: its figures
// may be older than they are.
func countsAll(c *mptcp.Connection) bool {
	listed := 0
	for i := range c.Subflows {
		if !c.Subflows[i].Initial {
			listed++
		}
	}
	return int(c.Limits.Subflows) >= listed
}

// settled reports whether nothing but a command, or the peer, makes the kernel try.
func settled(e *ledger.Entry) bool {
	return e.Kind == ledger.JoinPeer && !slices.ContainsFunc(e.Reached, func(r ledger.Reach) bool {
		switch r.Cause {
		case ledger.WrongFlags, ledger.FirstAddress, ledger.OtherFamily, ledger.UserspaceManager, ledger.FallenBack,
			ledger.NoSubflowsAllowed:
			return false
		}
		return !r.Stage.Ended()
	})
}

// TestLedgerOfAStrangeKernel: the same facts on a kernel that does not count what newer
// ones do leave more open, and never another stage.
func TestLedgerOfAStrangeKernel(t *testing.T) {
	names, err := filepath.Glob("testdata/7.3/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	compared := 0
	for _, name := range names {
		for _, a := range accounts(t, name) {
			old := a.facts
			old.Kernel.Release = "5.14.0-70.el9"
			wider := doctor.Account(old)
			for i := range a.facts.Connections {
				token := a.facts.Connections[i].Token
				for _, e := range a.facts.Endpoints {
					now, then := a.ledger.Join(token, e.Address), wider.Join(token, e.Address)
					if now == nil || then == nil || e.Flags.JoinsAnnounced() {
						continue
					}
					compared++
					for _, r := range now.Reached {
						if !slices.Contains(then.Reached, r) {
							t.Errorf("%s: %s: %v is left out of %v", name, where(e.Address), r, then.Reached)
						}
					}
				}
			}
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

func where(a netip.Addr) string { return fmt.Sprintf("endpoint %v", a) }

// TestCertainFindingsShowFacts: on the recordings of all kernels a finding that is certain
// shows a fact, names facts that exclude other causes, and no other cause that fits.
func TestCertainFindingsShowFacts(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	certain := 0
	for _, name := range names {
		for _, a := range accounts(t, name) {
			for _, f := range doctor.Diagnose(a.facts).Findings {
				if f.Confidence != track.Certain {
					continue
				}
				certain++
				named := slices.ContainsFunc(f.Excluded, func(x doctor.Exclusion) bool {
					return x.Fact != "" && !slices.Contains(x.Rules, f.Rule)
				})
				if !named {
					t.Errorf("%s: %s %q: excluded: %v", name, f.Rule, f.Title, f.Excluded)
				}
				if len(f.Evidence) == 0 || slices.Contains(f.Evidence, "") || len(f.Alternatives) > 0 {
					t.Errorf("%s: %s %q: evidence %q, alternatives %v", name, f.Rule, f.Title, f.Evidence, f.Alternatives)
				}
			}
		}
	}
	if certain == 0 {
		t.Error("no finding is certain")
	}
}
