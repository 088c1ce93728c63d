package cli

import (
	"context"
	"slices"
	"strings"

	"mptcpctl/doctor"
	"mptcpctl/doctor/bothends"
	"mptcpctl/doctor/rule"
	"mptcpctl/doctor/slow"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
)

// addRates adds to the report what limits the rates of connections, where --look asks for it.
func addRates(ctx context.Context, inv *grammar.Invocation, facts []doctor.Facts, report *doctor.Report) error {
	span, err := line.LookTime(inv)
	if err != nil || span == 0 {
		return err
	}
	var connections []mptcp.Connection
	for i := range facts {
		connections = append(connections, facts[i].Connections...)
	}
	views, err := line.Look(ctx, connections, span)
	if err != nil {
		return err
	}
	for _, v := range views {
		report.Add(slow.Findings(v))
	}
	if err := line.NoVerdict(views); err != nil {
		line.LeftOut(inv, err)
	}
	return nil
}

// allRules returns the rules of all families.
func allRules() []rule.Rule { return slices.Concat(rule.All(), bothends.All(), slow.Rules()) }

// ruleOf returns the rule with that id, in any case.
func ruleOf(id rule.ID) (rule.Rule, bool) {
	for _, r := range allRules() {
		if strings.EqualFold(string(r.ID), string(id)) {
			return r, true
		}
	}
	return rule.Rule{}, false
}
