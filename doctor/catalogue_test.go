package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/doctor/fallback"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/lab/scenario"
)

func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for i, r := range rule.All() {
		if want := rule.ID(fmt.Sprintf("D%02d", i+1)); r.ID != want {
			t.Errorf("the rule at %d is %s, want %s", i, r.ID, want)
		}
		for _, text := range []string{r.Title, r.Meaning, r.Signs, r.Remedy, string(r.Needs)} {
			if text == "" || strings.TrimSpace(text) != text {
				t.Errorf("%s: empty or untidy text %q", r.ID, text)
			}
		}
		if seen[r.Title] || strings.HasSuffix(r.Title, ".") || r.Family.String() == "unknown" {
			t.Errorf("%s: title %q, family %v", r.ID, r.Title, r.Family)
		}
		seen[r.Title] = true
		got, ok := rule.Explain(rule.ID(strings.ToLower(string(r.ID))))
		if !ok || got != r {
			t.Errorf("rule.Explain(%s): %v, %v", r.ID, got, ok)
		}
	}
	if len(seen) != 52 {
		t.Errorf("%d rules", len(seen))
	}
	for _, id := range []rule.ID{"", "D", "D00", "D53", "X01", "D1", "D011"} {
		if r, ok := rule.Explain(id); ok {
			t.Errorf("rule.Explain(%q) = %s", id, r.ID)
		}
	}
}

// The document is made of the catalogue: UPDATE=1 writes it.
func TestDocument(t *testing.T) {
	const path = "../docs/doctor.md"
	want := document()
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not agree with the catalogue: run UPDATE=1 go test ./doctor/ -run TestDocument", path)
	}
}

func document() string {
	var b strings.Builder
	b.WriteString(documentHead)
	for f := rule.FamilyHost; f <= rule.FamilyTool; f++ {
		fmt.Fprintf(&b, "\n## %s\n", familyHeadings[f])
		for _, r := range rule.All() {
			if r.Family != f {
				continue
			}
			fmt.Fprintf(
				&b,
				"\n### %s: %s\n\n%s\n\n- **Signs:** %s\n- **What to do:** %s\n- **Decided on:** %s%s\n- **In the "+
					"lab:** %s\n",
				r.ID,
				r.Title,
				r.Meaning,
				r.Signs,
				r.Remedy,
				r.Needs,
				undecided(r),
				inLab(r),
			)
		}
	}
	return b.String()
}

// notInLab says why no scenario of the lab leads to a rule.
var notInLab = map[rule.ID]string{
	"D01": "no: it takes a kernel without MPTCP, and nothing less than that kernel shows what it does",
	"D03": "no: it takes an older kernel, without the events",
	"D14": "no: the kernel asks whether anybody on the whole machine listens to events, and in the lab doctor " +
		"itself does",
	"D32": "no: the lab's programs run as user 0, as which the kernel makes joins",
	"D41": "no: one host cannot tell",
	"D46": "no: memory and tokens are those of the whole machine",
	"D52": "`healthy-nat`: nothing is wrong",
}

// inLab names the scenarios that lead to the rule.
func inLab(r rule.Rule) string {
	var names []string
	for _, s := range scenario.All() {
		if s.Rule == r.ID {
			names = append(names, "`lab run "+s.Name+"`")
		}
	}
	if names == nil {
		return notInLab[r.ID]
	}
	return strings.Join(names, ", ")
}

// Each rule has a scenario in the lab, or a reason why there can be none.
func TestEveryRuleIsInTheLab(t *testing.T) {
	for _, r := range rule.All() {
		scenario, reason := strings.Contains(inLab(r), "lab run"), notInLab[r.ID] != ""
		if scenario == reason {
			t.Errorf("%s: a scenario is there: %v, a reason for none: %v", r.ID, scenario, reason)
		}
	}
}

func undecided(r rule.Rule) string {
	switch {
	case !r.Decided:
		return ", so not by `doctor` on one host"
	case r.Needs == rule.NeedsPeer:
		return "; on one host it is named as an alternative"
	}
	return ""
}

var familyHeadings = map[rule.Family]string{
	rule.FamilyHost: "The host", rule.FamilyApplication: "The application",
	rule.FamilyLimits: "Limits", rule.FamilyEndpoint: "Endpoints",
	rule.FamilyRoute: "Routes", rule.FamilyPath: "The path", rule.FamilyPeer: "The peer", rule.FamilyTool: "The tools",
}

var documentHead = `# What doctor finds

<!-- Made of the catalogue in the package doctor/rule. To change it, change the catalogue
and run: UPDATE=1 go test ./doctor/ -run TestDocument -->

` + "`mptcpctl doctor`" + ` answers two questions: why is there no second subflow, and why did a
connection fall back to TCP? This page explains each cause that it knows. ` + "`mptcpctl doctor D17`" + `
shows the same in the terminal.

A finding has a **severity**: *fail*, something that was asked for does not work; *warn*, it works
worse than it could; *info*, an explanation of what may surprise. And a **confidence**. Only
failures and warnings make a host unhealthy.

| confidence | what it means | examples |
|---|---|---|
| certain | every other known cause is excluded by a fact that the finding shows | the address is not on this host; a rule of this host's firewall drops this very packet |
| likely | the facts suggest it, and other causes fit them too, which the finding lists | the peer answered without MPTCP: its program may use TCP, or the option was removed |
| possible | the facts allow it | the strict filter of reverse paths dropped packets, of whatever connection |

[certainty.md](certainty.md) says what it takes to be certain. A finding that lists other causes
never is. Neither is one about routes where rules depend on a mark that cannot be seen. If several counters moved that could explain a fallback, all of them
are shown.

The exit code is the verdict: 0 healthy, 1 warnings, 2 failures. 3 is none: the command line was
wrong, the facts could not be read, or nothing was found and the subflows could not be seen
("unknown": before Linux 6.15 the kernel tells only CAP_NET_ADMIN which TCP sockets are subflows).

Counters of the past are no trouble of today: a counter makes a finding by itself only if it moved
while doctor looked. Where one cause explains another finding, only the cause is shown, with the
evidence of both. What could not be seen is listed, and nothing is guessed in its place.

Where packets of MPTCP seem to vanish, doctor looks into the firewall of this host (nf_tables, and
iptables on top of it): it works out what its rules do to the very packets in question, out and in,
from the hooks of the device to those of the protocol. A rule that stops them is named, and makes
the finding certain; one that has a limit may do so, and is named as likely. On a server doctor asks
the same for packets that are still to come: joins to the addresses that it announces, and
handshakes with its programs. A firewall that merely exists is no finding.
That, the events, and looking into other network namespaces are all that takes privileges.

The kernel announces no event for most of these causes: nothing tells of a fallback, a join that
hangs, an endpoint that was passed over, a link that went down. So doctor compares the path
manager's settings, the sockets, the counters, the links and routes, and, where somebody listened,
the events.

Most causes can be seen at work: ` + "`mptcpctl lab run NAME`" + ` builds the network of a scenario on this
machine, without root, and asks doctor. The tests hold each scenario to its rule, as root and as an
ordinary user; the latter is told the rule or what could not be seen.

## Why a connection fell back

Each fallback moves exactly one counter. If one that fits moved around the time, the cause is
certain; if several did, it is likely, and all are shown.

| When | Counter | Cause |
|---|---|---|
` + fallbackTable

var fallbackTable = func() string {
	var b strings.Builder
	when := map[fallback.Stage]string{fallback.Handshake: "in the handshake", fallback.Data: "later"}
	for _, fc := range fallback.Counters() {
		fmt.Fprintf(&b, "| %s | `%s` | %s: %s |\n", when[fc.Stage], fc.Name, fc.Rule, fc.Text)
	}
	return b.String()
}()
