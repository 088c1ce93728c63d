package runner

import (
	"mptcpctl/internal/lab/scenario"
)

// Entry is a network or a scenario as JSON.
type Entry struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // "network" or "scenario"
	Summary string `json:"summary"`
	Host    string `json:"host,omitempty"` // where doctor is to look
	Rule    string `json:"rule,omitempty"` // what it must find there, or "healthy"
}

// Entries returns all networks and scenarios.
func Entries() []Entry {
	var entries []Entry
	for _, t := range scenario.Topologies() {
		entries = append(entries, Entry{Name: t.Name, Kind: "network", Summary: t.Summary})
	}
	for _, s := range scenario.All() {
		entries = append(entries, scenarioEntry(s))
	}
	return entries
}

func scenarioEntry(s scenario.Scenario) Entry {
	return Entry{Name: s.Name, Kind: "scenario", Summary: s.Summary, Host: s.Host, Rule: string(s.Rule)}
}
