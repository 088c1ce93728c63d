package cli

import _ "embed" // for the help texts

// The long help texts of the commands, from the folder help. Empty lines separate paragraphs; a single
// line break counts as a blank, except in a paragraph that begins with a blank.
var (
	//go:embed help/connection.txt
	connectionHelp string
	//go:embed help/connection-close-subflow.txt
	connectionCloseSubflowHelp string
	//go:embed help/connection-close.txt
	connectionCloseHelp string
	//go:embed help/counters.txt
	countersHelp string
	//go:embed help/doctor.txt
	doctorHelp string
	//go:embed help/endpoint.txt
	endpointHelp string
	//go:embed help/endpoint-check.txt
	endpointCheckHelp string
	//go:embed help/help.txt
	helpHelp string
	//go:embed help/filter.txt
	filterHelp string
	//go:embed help/lab.txt
	labHelp string
	//go:embed help/limits.txt
	limitsHelp string
	//go:embed help/monitor.txt
	monitorHelp string
	//go:embed help/nc.txt
	ncHelp string
	//go:embed help/paths.txt
	pathsHelp string
	//go:embed help/pm.txt
	pmHelp string
	//go:embed help/probe.txt
	probeHelp string
	//go:embed help/record.txt
	recordHelp string
	//go:embed help/version.txt
	versionHelp string
	//go:embed help/wait.txt
	waitHelp string
	//go:embed help/run.txt
	runHelp string
	//go:embed help/policy.txt
	policyHelp string
	//go:embed help/policy-watch.txt
	policyWatchHelp string
)
