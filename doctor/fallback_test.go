package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mptcpctl/doctor/rule"
	"mptcpctl/track"
)

// What an observer saw wins over what the totals suggest.
func TestSeenCauseWins(t *testing.T) {
	f := healthy(t)
	fellBack(f, "MPCapableFallbackSYNACK")
	f.Connections[0].FallbackCause = "DssFallback"
	report := Diagnose(*f)
	if len(report.Findings) != 1 || report.Findings[0].Rule != "D38" || report.Findings[0].Confidence != track.Certain {
		t.Errorf("got %q", ids(report))
	}
}

func TestManyPeersInFallback(t *testing.T) {
	f := healthy(t)
	fellBack(f, "MPCapableFallbackSYNACK")
	many(f, 100)
	for i := range f.Connections {
		f.Connections[i].Remote = addrPort(i)
	}
	report := Diagnose(*f)
	if len(report.Findings) != 9 {
		t.Fatalf("got %d findings", len(report.Findings))
	}
	i := slices.IndexFunc(report.Findings, func(x Finding) bool { return x.Subject.Connections == 92 })
	if i < 0 || report.Findings[i].Subject.Remote.IsValid() {
		t.Errorf("no finding about the other 92: %+v", report.Findings)
	}
}

// Two counters moved, and both are looked at: after a failed Fast Open the path is not
// blamed for sure.
func TestFastOpenExplainsLostMPTCP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		failed uint64
		seen   bool // by an observer, while another counter moves more
		rule   rule.ID
		sure   track.Confidence
	}{
		{"Fast Open failed", 1, false, rule.SocketOption, track.Likely},
		{"no Fast Open", 0, false, rule.OptionStripped, track.Certain},
		{"Fast Open failed, and somebody watched", 1, true, rule.SocketOption, track.Likely},
		{"no Fast Open, and somebody watched", 0, true, rule.OptionStripped, track.Certain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := healthy(t)
			fellBack(f, "MPCapableDataFallback")
			if tt.seen {
				f.Connections[0].FallbackCause = "MPCapableDataFallback"
				setCounters(&f.MPTCP, map[string]uint64{"MPCapableDataFallback": 1, "InfiniteMapRx": 2}, nil)
			}
			setCounters(
				&f.TCP,
				map[string]uint64{"TCPFastOpenActiveFail": tt.failed},
				map[string]uint64{"TCPFastOpenActiveFail": tt.failed},
			)
			for _, found := range Diagnose(*f).Findings {
				if found.Rule == tt.rule {
					if found.Confidence != tt.sure ||
						tt.failed > 0 && !slices.Contains(found.Alternatives, rule.OptionStripped) {
						t.Errorf("%+v", found)
					}
					return
				}
			}
			t.Errorf("%s is not found: %s", tt.rule, ids(Diagnose(*f)))
		})
	}
}

// A peer on this host that listens on a TCP socket is the whole cause: no middlebox is blamed
// beside it, not even in the fix.
func TestPeerOnThisHostBlamesNobodyElse(t *testing.T) {
	f := healthy(t)
	fellBack(f, "MPCapableFallbackSYNACK")
	f.Connections[0].Remote = netip.MustParseAddrPort("127.0.0.1:22")
	report := Diagnose(*f)
	if got := ids(report); got != "D07/warn/certain" {
		t.Fatalf("got %q", got)
	}
	if fix := report.Findings[0].Fix; len(fix) != 1 || strings.Contains(fix[0], "middlebox") {
		t.Errorf("fix %q", fix)
	}
}
