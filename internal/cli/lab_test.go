package cli

import (
	"testing"

	"mptcpctl/internal/lab"
)

// findTopology returns the lab's network of that name.
func findTopology(t *testing.T, name string) lab.Topology {
	t.Helper()
	topology, ok := lab.FindTopology(name)
	if !ok {
		t.Fatalf("the lab has no network %q", name)
	}
	return topology
}

// findScenario returns the lab's scenario of that name.
func findScenario(t *testing.T, name string) lab.Scenario {
	t.Helper()
	s, ok := lab.FindScenario(name)
	if !ok {
		t.Fatalf("the lab has no scenario %q", name)
	}
	return s
}
