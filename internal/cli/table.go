package cli

import "mptcpctl/internal/grammar"

// commands returns the program's commands. Their order decides abbreviations:
// iproute2's objects come first, so that its habits hold.
func (a *app) commands() []grammar.Entry {
	return []grammar.Entry{
		{Name: "endpoint", Build: a.endpointCommand}, {Name: "limits", Build: a.limitsCommand},
		{Name: "monitor", Build: a.monitorCommand}, {Name: "connection", Build: a.connectionCommand},
		{Name: "paths", Build: a.pathsCommand}, {Name: "counters", Build: a.countersCommand},
		{Name: "doctor", Build: a.doctorCommand}, {Name: "nc", Build: a.ncCommand},
		{Name: "wait", Build: a.waitCommand}, {Name: "top", Build: a.top},
		{Name: "lab", Build: a.labCommand}, {Name: "serve", Build: a.serve},
		{Name: "pm", Build: a.pmCommand}, {Name: "run", Build: a.runCommand},
		{Name: "probe", Build: a.probeCommand}, {Name: "policy", Build: a.policyCommand},
		{Name: "record", Build: a.recordCommand}, {Name: "completion", Build: a.completionCommand},
		{Name: "version", Build: versionCommand}, {Name: "help", Build: a.helpCommand},
		{Name: "history", Build: a.history}, // behind help, whose abbreviation is h
	}
}
