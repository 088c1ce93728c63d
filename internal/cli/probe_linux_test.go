package cli

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor/rule"
	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/present"
	"mptcpctl/internal/probe"
)

// trial brings a scenario of the lab about.
func trial(t *testing.T, name string) *procedure.Trial {
	t.Helper()
	labtest.Namespace(t)
	return startTrial(t, findScenario(t, name))
}

// startTrial brings the scenario about.
func startTrial(t *testing.T, s scenario.Scenario) *procedure.Trial {
	t.Helper()
	labtest.Namespace(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	t.Cleanup(cancel)
	trial, err := procedure.Start(ctx, s, []string{toolPath(t)})
	labtest.SkipMissing(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { trial.Close() })
	return trial
}

// runIn runs the program in the host and returns its output and exit code.
func runIn(t *testing.T, host *lab.Host, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	lines, code, err := host.RunProcess(ctx, tool(args...))
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	stdout, stderr = texts(lines)
	return stdout, stderr, code
}

// A probe names what keeps MPTCP from working, and connects a handful of times.
func TestProbe(t *testing.T) {
	for _, test := range []struct {
		scenario string
		verdict  string
		rule     rule.ID
		joins    string // their states, with rules
		code     int
	}{
		{"healthy-two-paths", "mptcp", "", "established", 0},
		{"healthy-single", "mptcp", "", "", 0},
		{"healthy-ipv6", "mptcp", "", "established", 0},
		{"plain-server", "fallback", "D05", "", 1},
		{"syn-stripped", "fallback", "D05", "", 1},
		{"syn-reset", "failed", "D34", "", 1},
		{"syn-dropped", "fallback", "D33", "", 1},
		{"join-dropped", "mptcp", "", "pending D35", 1},
		{"mptcp-off", "failed", "D02", "", 1},
	} {
		t.Run(test.scenario, func(t *testing.T) {
			t.Parallel()
			trial := trial(t, test.scenario)
			to := trial.Scenario.Traffic.To
			if !to.IsValid() {
				to = trial.Scenario.Topology.Paths[0].Destination
			}
			var p present.Probe
			var out, got string
			var code int
			// A probe gives a join three seconds. Where the kernel's work queue is busy
			// it may take longer, which is told, and right: then it is asked again.
			for deadline := time.Now().Add(await.Patience); ; {
				var errs string
				out, errs, code = runIn(
					t,
					trial.Lab.Host(lab.ClientHost),
					"-j",
					"probe",
					"-w",
					"3",
					to.String(),
					"12345",
				)
				p = present.Probe{}
				if err := json.Unmarshal([]byte(out), &p); err != nil {
					t.Fatalf("%v: %s%s", err, out, errs)
				}
				got = joinsTold(p)
				late := p.Verdict == "mptcp" &&
					(strings.HasPrefix(got, probe.JoinNone) || strings.HasPrefix(got, probe.JoinPending))
				if test.joins != probe.JoinUp || !late || time.Now().After(deadline) {
					break
				}
				t.Logf("no join yet: %s", got)
			}
			if p.Verdict != test.verdict || p.Rule != test.rule || got != test.joins || code != test.code {
				t.Errorf(
					"got %s %q joins %q exit %d, want %s %q joins %q exit %d:\n%s",
					p.Verdict,
					p.Rule,
					got,
					code,
					test.verdict,
					test.rule,
					test.joins,
					test.code,
					out,
				)
			}
			if len(p.Attempts) > 8 {
				t.Errorf("%d connections", len(p.Attempts))
			}
			if i := slices.IndexFunc(p.Attempts, func(a present.ProbeAttempt) bool { return a.Took > 20*time.Second }); i >= 0 {
				t.Errorf(
					"attempt %d was not bounded, where the kernel's own patience is two minutes: %v",
					i,
					p.Attempts[i],
				)
			}
		})
	}
}

// joinsTold returns the states of a probe's joins, with their rules.
func joinsTold(p present.Probe) string {
	var joins []string
	for _, j := range p.Joins {
		joins = append(joins, strings.TrimSpace(j.State+" "+string(j.Rule)))
	}
	return strings.Join(joins, ", ")
}

// What cannot be reached is said so in the kernel's words, in bounded time, whatever
// it is that does not answer.
func TestProbeOfWhatFails(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-two-paths")
	client, server := trial.Lab.Host(lab.ClientHost), trial.Lab.Host(lab.ServerHost)
	to := trial.Scenario.Topology.Paths[0].Destination.String()
	probe := func(port string) (present.Probe, int) {
		t.Helper()
		out, errs, code := runIn(t, client, "-j", "probe", "-w", "2", to, port)
		var p present.Probe
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		for i := range p.Attempts {
			if p.Attempts[i].Took > 15*time.Second {
				t.Errorf("attempt %d was not bounded: %+v", i, p.Attempts[i])
			}
		}
		return p, code
	}
	if p, code := probe("9"); p.Verdict != "failed" ||
		!strings.Contains(p.Reason, "plain TCP fails too: connection refused") ||
		len(p.Attempts) != 2 ||
		code != 1 {
		t.Errorf("a closed port: exit %d, %+v", code, p)
	}
	drop := func(device string) {
		t.Helper()
		if err := server.SetFirewall(lab.FirewallRule{Hook: lab.HookInput, In: device, Verdict: lab.Drop}); err != nil {
			t.Fatal(err)
		}
	}
	drop("eth0")
	if p, code := probe("12345"); p.Verdict != "failed" ||
		!strings.Contains(p.Reason, "plain TCP fails too: connection timed out") ||
		len(p.Attempts) != 3 ||
		p.Attempts[2].Error != "" ||
		code != 1 {
		t.Errorf("a server that is silent on the first path: exit %d, %+v", code, p)
	}
	drop("eth1")
	p, code := probe("12345")
	if p.Verdict != "mptcp" || code != 1 || len(p.Attempts) != 4 {
		t.Fatalf("a path that is silent: exit %d, %+v", code, p)
	}
	for _, a := range p.Attempts[2:] {
		if a.From.String() != "10.0.2.2" || a.Error == "" {
			t.Errorf("by the silent path: %+v", a)
		}
	}
	if err := server.SetFirewall(); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := client.AddAddress("eth0", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 1, byte(10 + i)}), 24)); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := probe("12345"); len(p.Attempts) > 8 ||
		!slices.Contains(p.Notes, "3 paths not tried: a probe makes at most eight connections") {
		t.Errorf("of many addresses: %d attempts, notes %q", len(p.Attempts), p.Notes)
	}
}

// A link-local address is one only with its device.
func TestProbeOfLinkLocal(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-ipv6")
	client, server := trial.Lab.Host(lab.ClientHost), trial.Lab.Host(lab.ServerHost)
	for host, addr := range map[*lab.Host]string{client: "fe80::2/64", server: "fe80::1/64"} {
		if err := host.AddAddress("eth0", netip.MustParsePrefix(addr)); err != nil {
			t.Fatal(err)
		}
	}
	out, errs, _ := runIn(t, client, "-j", "probe", "--no-data", "fe80::1%eth0", "12345")
	var p present.Probe
	if err := json.Unmarshal([]byte(out), &p); err != nil {
		t.Fatalf("%v: %s%s", err, out, errs)
	}
	if p.Verdict != "mptcp" {
		t.Errorf("%s", out)
	}
}

// Endpoints that are lent for a probe are gone afterwards.
func TestProbeWithEndpoints(t *testing.T) {
	t.Parallel()
	trial := trial(t, "healthy-second-link")
	client := trial.Lab.Host(lab.ClientHost)
	to := trial.Scenario.Topology.Paths[0].Destination.String()
	if _, errs, code := runIn(t, client, "limits", "set", "subflows", "4"); code != 0 {
		t.Fatal(errs)
	}
	before, _, _ := runIn(t, client, "endpoint")
	var p present.Probe
	var errs string
	var code int
	for deadline := time.Now().Add(await.Patience); ; { // see TestProbe
		var out string
		out, errs, code = runIn(t, client, "-j", "probe", "--with-endpoints", to, "12345")
		p = present.Probe{}
		if err := json.Unmarshal([]byte(out), &p); err != nil {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
		if len(p.Joins) != 1 || p.Joins[0].State == probe.JoinUp || time.Now().After(deadline) {
			break
		}
	}
	if len(p.Joins) != 1 || p.Joins[0].State != probe.JoinUp || code != 0 {
		t.Errorf("exit %d, joins %+v, want one: %s", code, p.Joins, errs)
	}
	if after, _, _ := runIn(t, client, "endpoint"); after != before {
		t.Errorf("endpoints before:\n%safter:\n%s", before, after)
	}
}
