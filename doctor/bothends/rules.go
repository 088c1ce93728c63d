package bothends

import (
	"strings"

	"mptcpctl/doctor/rule"
)

// The causes that only the facts of several hosts show.
const (
	TerminatedBetween rule.ID = "F01" // something between the ends terminates the connection
	FellBackAlone     rule.ID = "F02" // one end fell back, the other did not notice
	HalfDead          rule.ID = "F03" // a subflow is open at one end only
	NotArrived        rule.ID = "F07" // what one end sent, the other does not have
	ClocksDiffer      rule.ID = "F08" // the clocks of the hosts differ
)

// NeedsBoth says that a rule takes the facts of both hosts.
const NeedsBoth rule.Needs = "both hosts (doctor --peer)"

// All returns the catalogue of these causes.
func All() []rule.Rule {
	return []rule.Rule{
		{
			ID: TerminatedBetween, Family: rule.FamilyPath, Needs: NeedsBoth, Decided: true,
			Title: "Something between the hosts ends the connection",
			Meaning: "A transparent proxy takes the connection of the client, and makes " +
				"another one to the server with the " +
				"same addresses. Each end speaks MPTCP with the proxy and not with the other.",
			Signs:  "The ends have the same addresses and ports, and compute different pairs.",
			Remedy: "Ask the operator of the path for a transparent proxy, or use another port.",
		},
		{
			ID: FellBackAlone, Family: rule.FamilyPath, Needs: NeedsBoth, Decided: true,
			Title: "One end fell back, and the other did not notice",
			Meaning: "One host found data without MPTCP and uses plain TCP from then on. " +
				"The other goes on with MPTCP until " +
				"it receives something.",
			Signs: "Only one end of the connection has the mark of a fallback.",
			Remedy: "Report to the operator of the path that TCP option 30 (DSS) is " +
				"removed in one direction.",
		},
		{
			ID: HalfDead, Family: rule.FamilyPath, Needs: NeedsBoth, Decided: true,
			Title: "A subflow is open at one end only",
			Meaning: "One host has given the subflow up or lost it, and the message about " +
				"that did not reach the other.",
			Signs: "A subflow has been quiet for seconds and is established at one end; " +
				"the other end has no such subflow.",
			Remedy: "On the host that still has it: mptcpctl connection close-subflow.",
		},
		{
			ID: NotArrived, Family: rule.FamilyPath, Needs: NeedsBoth, Decided: true,
			Title: "Bytes that one end sent did not arrive at the other",
			Meaning: "The connection is quiet, and the receiver has fewer bytes than the " +
				"sender sent: a path loses them, or " +
				"the receiving program does not read and the buffer is full.",
			Signs: "Bytes sent and bytes received differ for two seconds in which nothing moved.",
			Remedy: "See whether the program reads (mptcpctl connection), and whether a " +
				"subflow is silent.",
		},
		{
			ID: ClocksDiffer, Family: rule.FamilyTool, Needs: NeedsBoth, Decided: true,
			Title:   "The clocks of the hosts differ",
			Meaning: "The times of events on the two hosts cannot be compared as they are.",
			Signs: "The difference is larger than the error of the measurement, which is " +
				"half of the time of an answer.",
			Remedy: "Let one time service set both clocks.",
		},
	}
}

// Explain returns the text about a cause of this catalogue.
func Explain(id rule.ID) (rule.Rule, bool) {
	for _, r := range All() {
		if strings.EqualFold(string(r.ID), string(id)) {
			return r, true
		}
	}
	return rule.Rule{}, false
}
