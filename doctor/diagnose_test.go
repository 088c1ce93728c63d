package doctor

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mptcpctl/hostnet"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

func addrPort(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 443)
}

// Where a cause is found, its effects are not findings of their own.
func TestEffectsAreNotFindings(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Facts)
		want   string
	}{
		"wrong link, join hangs":  {func(f *Facts) { unbind(f); pend(f) }, "D27/fail/certain"},
		"phantom route, no reply": {phantom, "D28/fail/certain"},
		"address gone, silent":    {func(f *Facts) { f.Network.Addresses = f.Network.Addresses[:2] }, "D21/fail/certain"},
		"link down, silent":       {func(f *Facts) { f.Network.Links[2].Up = false }, "D22/fail/certain"},
		"refused, not retried": {func(f *Facts) {
			alone(f)
			listening(f, created(), closedWith(111, 0))
		}, "D36/fail/likely"},
		"limit 0 and announced": {func(f *Facts) {
			untried(f)
			f.Limits.Subflows = 0
			listening(f, created(), announcement())
		}, "D15/fail/certain D17/warn/certain"},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy(t)
			tt.change(f)
			report := Diagnose(*f)
			if got := ids(report); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func phantom(f *Facts) {
	alone(f)
	f.Lookups[1].Route.Gateway = netip.Addr{}
	f.Network.Routes = f.Network.Routes[:1]
	listening(f, created(), closedWith(113, time.Second))
}

func TestEvidenceOfEffectsIsKept(t *testing.T) {
	f := healthy(t)
	f.Network.Links[2].Up = false // a warning by itself
	report := Diagnose(*f)
	if report.Verdict != Failure || report.Connections[0].Verdict != Failure {
		t.Errorf("verdict %v, of the connection %v", report.Verdict, report.Connections[0].Verdict)
	}
	f = healthy(t)
	phantom(f)
	text := strings.Join(Diagnose(*f).Findings[0].Evidence, "\n")
	if !strings.Contains(text, "no gateway") || !strings.Contains(text, "EHOSTUNREACH") {
		t.Errorf("got %s", text)
	}
}

// What was seen of one connection explains others whose finding says that it may be
// the cause: nobody need mend the same endpoint twice.
func TestCauseSeenOnce(t *testing.T) {
	f := healthy(t)
	alone(f)
	many(f, 3)
	setCounters(&f.MPTCP, map[string]uint64{"MPJoinSynTx": 3, "MPJoinSynAckRx": 0}, nil)
	listening(f, created(), closedWith(111, 0)) // of the first
	report := Diagnose(*f)
	if got := ids(report); got != "D36/fail/likely" {
		t.Fatalf("got %q", got)
	}
	if n := report.Findings[0].Subject.Connections; n != 3 {
		t.Errorf("it is about %d connections, want 3", n)
	}
}

// Other causes explain an effect for the connections that they are about, and no
// others.
func TestCauseOfOneConnection(t *testing.T) {
	f := healthy(t)
	alone(f)
	many(f, 3)
	listening(f, created(), closedWith(111, 0)) // of the first
	f.Events[len(f.Events)-1].Error = 110
	report := Diagnose(*f)
	if got := ids(report); got != "D35/fail/likely D42/warn/likely" {
		t.Fatalf("got %q", got)
	}
	first, others := report.Findings[0].Subject, report.Findings[1].Subject
	if first.Token != 1 || first.Connections != 0 || others.Token != 0 || others.Connections != 2 {
		t.Errorf("got %+v and %+v", first, others)
	}
	for i, want := range []Verdict{Failure, Warning, Warning} {
		if got := report.Connections[i].Verdict; got != want {
			t.Errorf("connection %d: %v, want %v", i, got, want)
		}
	}
}

// Any two troubles at once give a report that holds together, and the same one
// each time.
func TestTroublesInPairs(t *testing.T) {
	cases := ruleCases()
	for _, a := range cases {
		for _, b := range cases {
			facts := func() Facts {
				f := healthy(t)
				a.trigger(t, f)
				if len(f.Connections) == 1 && len(f.Connections[0].Subflows) == 2 && len(f.Endpoints) > 0 &&
					len(f.Network.Addresses) > 2 {
					b.trigger(t, f) // it builds on what is there
				}
				return *f
			}
			report := Diagnose(facts())
			again, _ := json.Marshal(Diagnose(facts()))
			if text, _ := json.Marshal(report); string(text) != string(again) {
				t.Fatalf("%s %s and %s %s: two reports:\n%s\n%s", a.rule, a.name, b.rule, b.name, text, again)
			}
			worst := Info
			for i, x := range report.Findings {
				worst = max(worst, x.Severity)
				if i > 0 && x.Severity > report.Findings[i-1].Severity || len(x.Evidence) == 0 || len(x.Fix) == 0 {
					t.Errorf("%s %s and %s %s: %q", a.rule, a.name, b.rule, b.name, ids(report))
				}
			}
			if verdictOf(worst) != report.Verdict {
				t.Errorf("%s %s and %s %s: verdict %v", a.rule, a.name, b.rule, b.name, report.Verdict)
			}
		}
	}
}

// What lies nearer to the root comes first among equals, and failures before
// warnings.
func TestOrder(t *testing.T) {
	f := healthy(t)
	thirdEndpoint(f, 4)
	f.IPRoute2 = "6.1.0"                                                                               // info, tool
	f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: 9, Address: netip.MustParseAddr("10.0.0.1")}) // fail, endpoint
	f.Connections[0].Subflows[0].Backoff, f.Connections[0].Subflows[0].LastAckMS = 6, 60000            // fail, path
	f.Connections[0].Limits.SubflowsMax = 1                                                            // warn, limits
	f.Managers = []mptcp.Process{{Name: "mptcpd"}, {Name: "NetworkManager"}}                           // warn, host
	want := "D21/fail/certain D43/fail/likely D26/warn/likely D15/warn/certain D19/warn/certain D50/info/certain"
	if got := ids(Diagnose(*f)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFactsAreNotChanged(t *testing.T) {
	for _, tt := range ruleCases() {
		f, same := healthy(t), healthy(t)
		tt.trigger(t, f)
		tt.trigger(t, same)
		Diagnose(*f)
		got, _ := json.Marshal(f)
		want, _ := json.Marshal(same)
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: %s", tt.rule, diff)
		}
	}
}

func TestUnusedPaths(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*Facts)
		possible int
		want     []UnusedPath
	}{
		"all used": {func(*Facts) {}, 2, nil},
		"no endpoint": {func(f *Facts) { alone(f); f.Endpoints = nil }, 2, []UnusedPath{
			{Address: wlanIP, Device: "wlan0", Reason: "no endpoint for this address"},
		}},
		"link down": {func(f *Facts) { alone(f); f.Network.Links[2].Up = false }, 1, []UnusedPath{
			{Address: wlanIP, Device: "wlan0", Reason: "wlan0: down", Rule: "D22"},
		}},
		"address gone": {func(f *Facts) { alone(f); f.Network.Addresses = f.Network.Addresses[:2] }, 1, []UnusedPath{
			{Address: wlanIP, Device: "wlan0", Reason: "the address is not on this host", Rule: "D21"},
		}},
		"only announced": {func(f *Facts) { alone(f); f.Endpoints[0].Flags = mptcp.FlagSignal }, 2, []UnusedPath{
			{Address: wlanIP, Device: "wlan0", Reason: "it is only announced to the peer (flag signal)", Rule: "D10"},
		}},
		"nothing sent": {func(f *Facts) {
			alone(f)
			c := &f.Connections[0]
			c.BytesReceived, c.BytesSent, c.Subflows[0].FullyEstablished = 0, 0, false
		}, 2, []UnusedPath{{Address: wlanIP, Device: "wlan0", Reason: "no data was sent yet", Rule: "D11"}}},
		"under way": {func(f *Facts) { pend(f).Lost = 0 }, 2, []UnusedPath{
			{Address: wlanIP, Device: "wlan0", Reason: "a join is pending"},
		}},
		"fallback": {func(f *Facts) {
			alone(f)
			f.Connections[0].Fallback = true
			setCounters(&f.MPTCP, map[string]uint64{"DssFallback": 1}, nil)
		}, 2, []UnusedPath{{Address: wlanIP, Device: "wlan0", Reason: "the connection uses plain TCP", Rule: "D38"}}},
		"other family": {func(f *Facts) {
			f.Endpoints = append(f.Endpoints, mptcp.Endpoint{ID: 2, Address: netip.MustParseAddr("2001:db8::2"), Flags: mptcp.FlagSubflow, IfIndex: wlan})
			f.Network.Addresses = append(f.Network.Addresses, hostnet.Address{Addr: netip.MustParseAddr("2001:db8::2"), IfIndex: wlan, Scope: "global"})
		}, 2, []UnusedPath{
			{Address: netip.MustParseAddr("2001:db8::2"), Device: "wlan0", Reason: "it has another address family " +
				"than the connection", Rule: "D23"},
		}},
		"server": {accepted, 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy(t)
			tt.change(f)
			got := Diagnose(*f).Connections[0]
			if got.PathsPossible != tt.possible {
				t.Errorf("%d paths possible, want %d", got.PathsPossible, tt.possible)
			}
			if diff := cmp.Diff(tt.want, got.Unused, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLookupsWanted(t *testing.T) {
	f := healthy(t)
	many(f, 50)
	got := f.LookupsWanted()
	want := []hostnet.LookupRequest{f.Lookups[0].Request, f.Lookups[1].Request}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range f.Connections {
		f.Connections[i].Remote = addrPort(i)
	}
	if got := len(f.LookupsWanted()); got != 100 {
		t.Errorf("%d lookups for 50 peers", got)
	}
	many(f, 1000)
	for i := range f.Connections {
		f.Connections[i].Remote = addrPort(i)
	}
	if got := len(f.LookupsWanted()); got != 2*maxDestinations {
		t.Errorf("%d lookups for 1000 peers", got)
	}
}

func TestReportJSON(t *testing.T) {
	f := healthy(t)
	f.Network.Addresses = f.Network.Addresses[:2]
	f.Unseen = []Gap{{What: "firewall", Why: "needs root"}}
	text, err := json.MarshalIndent(Diagnose(*f), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"schema": 1`, `"verdict": "failure"`, `"rule": "D21"`, `"severity": "fail"`, `"confidence": "certain"`, `"endpoint": "198.51.100.2"`,
		`"token": "00000001"`, `"paths_possible": `, `"evidence": [`, `"fix": [`, `"what": "firewall"`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	empty, _ := json.Marshal(Diagnose(Facts{}))
	if want := `{"schema":1,"verdict":"healthy","findings":[],"connections":[]}`; string(empty) != want {
		t.Errorf("got %s, want %s", empty, want)
	}
}

func TestVersionAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"6.18.44":  true,
		"6.18":     true,
		"6.17.9":   false,
		"7.0-rc1":  true,
		"6.18-rc3": true,
		"5.19":     false,
		"":         false,
		"6":        false,
		"x.y":      false,
		"10.0":     true,
	} {
		if got := versionAtLeast(version, 6, 18); got != want {
			t.Errorf("%q: got %v", version, got)
		}
	}
}

// Where the subflows are kept back nobody is healthy, and what is found is found.
func TestUnseenSubflows(t *testing.T) {
	gap := []Gap{{What: UnseenSubflows, Why: "CAP_NET_ADMIN"}}
	f := Facts{Connections: []mptcp.Connection{{Token: 1, State: mptcp.StateEstablished}}, Unseen: gap}
	if r := Diagnose(f); r.Verdict != Unknown || r.Connections[0].Verdict != Unknown ||
		r.Verdict.String() != "unknown" {
		t.Errorf("%v, connection %v", r.Verdict, r.Connections[0].Verdict)
	}
	f.EventsLost = 1
	if r := Diagnose(f); r.Verdict != Warning {
		t.Errorf("with a finding %v", r.Verdict)
	}
	if r := Diagnose(Facts{Unseen: gap}); r.Verdict != Healthy {
		t.Errorf("without connections %v", r.Verdict)
	}
	for want, pairs := range map[Verdict][][2]Verdict{
		Healthy: {{Healthy, Healthy}},
		Warning: {{Healthy, Warning}, {Warning, Unknown}},
		Failure: {{Failure, Unknown}, {Failure, Warning}},
		Unknown: {{Healthy, Unknown}, {Unknown, Unknown}},
	} {
		for _, p := range pairs {
			if a, b := p[0].Worse(p[1]), p[1].Worse(p[0]); a != want || b != want {
				t.Errorf("%v: %v and %v, want %v", p, a, b, want)
			}
		}
	}
}

// Certain is only what no other cause explains, and what evidence is named for: over all
// cases of all rules.
func TestCertainExcludesOtherCauses(t *testing.T) {
	certain := 0
	for _, tt := range ruleCases() {
		f := healthy(t)
		tt.trigger(t, f)
		for _, found := range Diagnose(*f).Findings {
			if found.Confidence != track.Certain {
				continue
			}
			certain++
			if len(found.Alternatives) > 0 || len(found.Evidence) == 0 {
				t.Errorf(
					"%s %s: %s is certain, with alternatives %v and evidence %q",
					tt.rule,
					tt.name,
					found.Rule,
					found.Alternatives,
					found.Evidence,
				)
			}
		}
	}
	if certain < 20 {
		t.Errorf("%d certain findings only", certain)
	}
}

// Without events a server tells that its joins to what clients announced failed.
func TestJoinsBackAfterTheFact(t *testing.T) {
	f := healthy(t)
	alone(f)
	f.Endpoints = nil
	c := &f.Connections[0]
	c.Side, c.Limits.AddAddrAccepted = mptcp.SideServer, 1
	f.Listeners = []Listener{{Local: c.Local, Inode: 7}}
	for _, tt := range []struct {
		tried, answered uint64
		want            string
	}{{1, 0, "D10/info/possible"}, {1, 1, ""}, {0, 0, ""}} {
		setCounters(&f.MPTCP, map[string]uint64{"MPJoinSynTx": tt.tried, "MPJoinSynAckRx": tt.answered}, nil)
		if got := ids(Diagnose(*f)); got != tt.want {
			t.Errorf("%d tried, %d answered: got %q, want %q", tt.tried, tt.answered, got, tt.want)
		}
	}
}
