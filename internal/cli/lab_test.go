package cli

import (
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// findTopology returns the lab's network of that name.
func findTopology(t *testing.T, name string) lab.Topology {
	t.Helper()
	topology, ok := scenario.FindTopology(name)
	if !ok {
		t.Fatalf("the lab has no network %q", name)
	}
	return topology
}

// findScenario returns the lab's scenario of that name.
func findScenario(t *testing.T, name string) scenario.Scenario {
	t.Helper()
	s, ok := scenario.Find(name)
	if !ok {
		t.Fatalf("the lab has no scenario %q", name)
	}
	return s
}
