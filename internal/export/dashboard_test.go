package export

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"mptcpctl/track"
)

// TestDashboardAsksForMetricsThatExist holds the names in the dashboard and in the
// alert rules against those that are exported.
func TestDashboardAsksForMetricsThatExist(t *testing.T) {
	exported := map[string]bool{"mptcp_doctor_findings": true}
	families := append(gather(track.NewState(time.Time{}, nil)), newBook().counts.families()...)
	for _, f := range append(families, newSampler().families()...) {
		exported[f.name] = true
		if f.kind == histogram {
			exported[f.name+"_bucket"], exported[f.name+"_count"] = true, true
		}
	}
	dashboard, err := os.ReadFile("../../packaging/grafana/mptcp.json")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(dashboard, &parsed); err != nil {
		t.Fatal(err)
	}
	expressions := ""
	for _, p := range parsed.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			expressions += target.Expr + "\n"
		}
	}
	rules, err := os.ReadFile("../../packaging/prometheus/mptcp.yml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(rules)) {
		if strings.Contains(line, "expr:") {
			expressions += line
		}
	}
	names := regexp.MustCompile(`\bmptcp_\w+`).FindAllString(expressions, -1)
	if len(names) < 20 {
		t.Fatalf("only %d names were found", len(names))
	}
	for _, name := range names {
		if !exported[name] {
			t.Errorf("%s is asked for and not exported", name)
		}
	}
}
