package procedure_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/lab/procedure"
	"mptcpctl/internal/lab/scenario"
)

func find(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	s, ok := scenario.Find(name)
	if !ok {
		t.Fatalf("no scenario %s", name)
	}
	return s
}

// A scenario whose symptoms do not show is an error that says what is seen.
func TestStartTellsWhatDoesNotShow(t *testing.T) {
	labtest.MPTCP(t)
	for name, tt := range map[string]struct {
		symptom scenario.Symptom
		want    string
	}{
		"counter": {scenario.Symptom{Kind: scenario.CounterAt, Counter: "MPCapableSYNTX", Count: 1000}, "client: MPCapableSYNTX at least 1000: does not show; seen: 1"},
		"subflows": {scenario.Symptom{Kind: scenario.Subflows, Count: 7}, "client: 7 additional subflows: does not " +
			"show; seen: 1 additional subflows"},
		"no subflow": {
			scenario.Symptom{Kind: scenario.Subflows}, "client: 0 additional subflows: does not show; seen: 1 " +
				"additional subflows",
		},
		"fallback": {scenario.Symptom{Kind: scenario.FellBack}, "client: fallback to TCP: does not show; seen: " +
			"still MPTCP"},
		"hangs": {
			scenario.Symptom{Kind: scenario.JoinHangs, Address: netip.MustParseAddr("10.0.2.2")},
			"client: SYN from 10.0.2.2 sent again, no answer: does not show; seen: no such socket",
		},
		"silent": {
			scenario.Symptom{Kind: scenario.PathSilent, Address: netip.MustParseAddr("10.0.2.2"), Count: 1},
			"client: data from 10.0.2.2 sent again 1 times, no answer: does not show; seen: sent again 0 times",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := find(t, "healthy-two-paths")
			tt.symptom.Host = lab.ClientHost
			s.Ready = s.Shows // the second subflow is there
			s.Shows = []scenario.Symptom{tt.symptom}
			// On a busy machine it may take long to come as far as that symptom.
			for wait := time.Second; ; wait *= 2 {
				err := startWithin(t, wait, s)
				if errors.Is(err, context.DeadlineExceeded) && strings.Contains(err.Error(), tt.want) {
					return
				}
				if wait > 2*time.Minute {
					t.Fatalf("got %v, want %s", err, tt.want)
				}
			}
		})
	}
}

// startWithin returns why a scenario does not start in that time.
func startWithin(t *testing.T, wait time.Duration, s scenario.Scenario) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	trial, err := procedure.Start(ctx, s, pathManagerTool(t))
	if err == nil {
		trial.Close()
		t.Fatal("started")
	}
	return err
}

func TestStartRefusesWhatGoesWrong(t *testing.T) {
	labtest.MPTCP(t)
	for name, tt := range map[string]struct {
		change func(*scenario.Scenario)
		tool   []string
		want   string
	}{
		"the tool fails": {func(*scenario.Scenario) {}, []string{"false"}, "limits set add_addr_accepted 0 " +
			"subflows 2 on client: exit status 1"},
		"not refused":      {func(s *scenario.Scenario) { s.Traffic.Refused = syscall.ECONNREFUSED }, nil, "connecting should have failed"},
		"no such device":   {func(s *scenario.Scenario) { s.Faults = []scenario.Fault{{Host: lab.ClientHost, LinkDown: "eth7"}} }, nil, "ip link set eth7 down on client: device eth7"},
		"server not there": {func(s *scenario.Scenario) { s.Traffic.Listen = netip.MustParseAddr("192.0.2.77") }, nil, "serve at 192.0.2.77"},
	} {
		t.Run(name, func(t *testing.T) {
			s := find(t, "healthy-two-paths")
			tt.change(&s)
			tool := tt.tool
			if tool == nil {
				tool = pathManagerTool(t)
			}
			trial, err := procedure.Start(t.Context(), s, tool)
			if err == nil {
				trial.Close()
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

// A trial tells what was done, holds its connections open, and lets go of all when
// it is closed.
func TestTrial(t *testing.T) {
	labtest.MPTCP(t)
	trial, err := procedure.Start(t.Context(), find(t, "path-mended"), pathManagerTool(t))
	if err != nil {
		t.Fatal(err)
	}
	defer trial.Close()
	var deeds []string
	for _, d := range trial.Deeds {
		deeds = append(deeds, d.Host+": "+d.Text)
	}
	want := `client: mptcpctl limits set add_addr_accepted 0 subflows 2
client: mptcpctl endpoint add 10.0.2.2 dev eth1 subflow
server: firewall: reject SYN with MP_JOIN by a reset
server: firewall: none any more`
	if got := strings.Join(deeds, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(trial.Conns()) != 1 {
		t.Fatalf("%d connections", len(trial.Conns()))
	}
	c := trial.Conns()[0]
	if err := c.Exchange(100); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := trial.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := c.Exchange(1); err == nil {
		t.Error("the connection outlives the trial")
	}
}
