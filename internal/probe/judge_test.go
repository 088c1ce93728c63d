package probe

import (
	"fmt"
	"syscall"
	"testing"

	"mptcpctl/counters"
	"mptcpctl/doctor/rule"
)

// The first connection decides. What plain TCP to the same address did tells a server
// that is not there from one that only MPTCP does not reach.
func TestVerdictOfTheFirstConnection(t *testing.T) {
	spoken := func(s Spoken) Conn { return Conn{Spoken: s} }
	failed := func(e syscall.Errno) Conn { return Conn{Err: e} }
	for _, c := range []struct {
		name         string
		first, plain Conn
		moved        string // a counter
		verdict      string
		rule         rule.ID
		reason       bool
	}{
		{"MPTCP", spoken(MPTCP), spoken(TCP), "", "mptcp", "", false},
		{"MPTCP, and plain TCP fails", spoken(MPTCP), failed(syscall.ECONNREFUSED), "", "mptcp", "", false},
		{"an old kernel cannot say", spoken(Unknown), spoken(TCP), "", "unknown", "", false},
		{"the server answers without MPTCP", spoken(Fallback), spoken(TCP), "MPCapableFallbackSYNACK", "fallback", rule.PeerWithoutMPTCP, true},
		{"MPTCP is off, and plain TCP works", failed(syscall.ENOPROTOOPT), spoken(TCP), "", "failed", rule.SwitchedOff, true},
		{"MPTCP is off, and plain TCP fails too", failed(syscall.ENOPROTOOPT), failed(syscall.ECONNREFUSED), "", "failed", rule.SwitchedOff, true},
		{"a policy", failed(syscall.EACCES), spoken(TCP), "", "failed", rule.PolicyForbids, true},
		{"a policy, by another error", failed(syscall.EPERM), spoken(TCP), "", "failed", rule.PolicyForbids, true},
		{"MPTCP is reset, plain TCP is not", failed(syscall.ECONNREFUSED), spoken(TCP), "", "failed", rule.SYNReset, true},
		{"nobody listens", failed(syscall.ECONNREFUSED), failed(syscall.ECONNREFUSED), "", "failed", "", true},
		{"MPTCP is dropped, plain TCP is not", failed(syscall.ETIMEDOUT), spoken(TCP), "", "failed", rule.Blackhole, true},
		{"nobody answers", failed(syscall.ETIMEDOUT), failed(syscall.ETIMEDOUT), "", "failed", "", true},
		{"no route", failed(syscall.ENETUNREACH), spoken(TCP), "", "failed", "", true},
	} {
		var moved counters.Values
		if c.moved != "" {
			var err error
			if moved, err = counters.ParseTable(fmt.Sprintf("MPTcpExt: %s\nMPTcpExt: 1\n", c.moved), "MPTcpExt:"); err != nil {
				t.Fatal(err)
			}
		}
		p := &Prober{}
		p.judge(&c.first, &c.plain, moved)
		if p.Out.Verdict != c.verdict || p.Out.Rule != c.rule || (p.Out.Reason != "") != c.reason {
			t.Errorf("%s: %s %q %q, want %s %q", c.name, p.Out.Verdict, p.Out.Rule, p.Out.Reason, c.verdict, c.rule)
		}
		if c.moved != "" && p.Out.Counters[c.moved] != 1 {
			t.Errorf("%s: counters %v", c.name, p.Out.Counters)
		}
		if fine := p.Out.Verdict == "mptcp"; p.Fine() != fine {
			t.Errorf("%s: fine is %v", c.name, !fine)
		}
	}
}
