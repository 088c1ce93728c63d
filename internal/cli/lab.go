package cli

import (
	"context"
	"fmt"
	"strings"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/runner"
	"mptcpctl/internal/lab/scenario"
	"mptcpctl/internal/present"
	"mptcpctl/internal/proposal"
)

func (a *app) labCommand() grammar.Command {
	return grammar.Command{
		Name:      "lab",
		Summary:   "try MPTCP on the real kernel, in network namespaces, on one machine",
		Synopsis:  []string{"[ demo ]", "list", "run { NAME | --all }", "both [ NAME ]", "shell [ NAME ]"},
		Help:      labHelp,
		Privilege: "none where user namespaces are allowed, else root",
		Default:   "demo",
		Examples: []grammar.Example{
			{Line: "lab", Meaning: "the whole procedure"},
			{Line: "lab run announce", Meaning: "a server that announces its second address"},
			{Line: "lab shell two-subnets", Meaning: "a client with two links to try things on"},
			{Line: "lab run join-dropped", Meaning: "a firewall on the second path, and what doctor says about it"},
			{Line: "lab run --all", Meaning: "all scenarios: what was expected and what doctor found"},
		},
		Verbs: []grammar.Command{
			{Name: "demo", Summary: "Red Hat's procedure, step by step", Synopsis: []string{""}, Run: a.labDemo},
			{
				Name:     "list",
				Summary:  "list the networks and scenarios for `run` and `shell`",
				Synopsis: []string{""},
				Run:      a.labList,
			},
			{
				Name: "run", Summary: "build a network, connect over it, and show which subflows come up, or what " +
					"is wrong", Synopsis: []string{"NAME", "--all"},
				Operand: grammar.Word, Choices: labNames(), Run: a.labRun,
				Flags: []grammar.Flag{{Name: "all", Summary: "run all scenarios, and show what doctor finds in each"}},
			},
			{
				Name: "both", Summary: "build a client, a router with NAT and a server, and show what one end finds, " +
					"and what both find", Synopsis: []string{"[ NAME ]"},
				Operand: grammar.Word, Choices: scenario.BothNames(), Run: a.labBoth,
			},
			{
				Name:     "shell",
				Summary:  "open a shell in the client of a network, or on the host where a scenario fails",
				Synopsis: []string{"[ NAME ]"},
				Operand:  grammar.Word,
				Choices:  labNames(),
				Run:      a.labShell,
			},
		},
	}
}

func labNames() []string {
	var names []string
	for _, t := range scenario.Topologies() {
		names = append(names, t.Name)
	}
	for _, s := range scenario.All() {
		names = append(names, s.Name)
	}
	return names
}

func (a *app) labList(_ context.Context, inv *grammar.Invocation) error {
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, runner.Entries(), inv.Options.Pretty)
	}
	colors := line.Palette(inv)
	fmt.Fprintf(inv.Stdout, "%sNetworks%s\n", colors.Bold, colors.Reset)
	for _, t := range scenario.Topologies() {
		fmt.Fprintf(inv.Stdout, "%-28s %s\n", t.Name, t.Summary)
	}
	fmt.Fprintf(inv.Stdout, "\n%sScenarios, and what doctor finds%s\n", colors.Bold, colors.Reset)
	for _, s := range scenario.All() {
		if _, err := fmt.Fprintf(inv.Stdout, "%-28s %-8s %s\n", s.Name, s.Rule, s.Summary); err != nil {
			return err
		}
	}
	return nil
}

// labRunner runs the lab with this program's own commands.
func labRunner(inv *grammar.Invocation) *runner.Runner {
	return &runner.Runner{
		Program: ownCommand(),
		Stdin:   inv.Stdin,
		Out:     inv.Stdout,
		Stderr:  inv.Stderr,
		Colors:  line.Palette(inv),
	}
}

func (a *app) labDemo(ctx context.Context, inv *grammar.Invocation) error {
	if err := line.NoJSON(inv, "-j lab run --all has one"); err != nil {
		return err
	}
	if len(inv.Args) > 0 {
		return inv.Usage("takes no arguments; to run a network: lab run NAME")
	}
	return labRunner(inv).Demo(ctx)
}

// labRun builds a network, connects over it, and shows what comes up.
func (a *app) labRun(ctx context.Context, inv *grammar.Invocation) error {
	if inv.Has("all") {
		return labRunAll(ctx, inv)
	}
	if err := line.NoJSON(inv, "-j lab run --all has one"); err != nil {
		return err
	}
	if len(inv.Args) != 1 {
		return inv.Usage("want one name; `lab list` lists them")
	}
	name := inv.Args[0]
	if s, ok := scenario.Find(name); ok {
		return labRunner(inv).Scenario(ctx, s)
	}
	if name == runner.ProcedureNetwork {
		return labRunner(inv).Demo(ctx)
	}
	topology, err := labNetwork(inv, name)
	if err != nil {
		return err
	}
	return labRunner(inv).Network(ctx, topology)
}

// labBoth shows what one end finds, and what both find together.
func (a *app) labBoth(ctx context.Context, inv *grammar.Invocation) error {
	if err := line.NoJSON(inv, "-j lab run --all has one"); err != nil {
		return err
	}
	name := append(inv.Args, "both-syn-stripped")[0]
	if b, ok := scenario.FindBoth(name); ok && len(inv.Args) < 2 {
		return labRunner(inv).Both(ctx, b)
	}
	return inv.Usage("want one name of: " + strings.Join(scenario.BothNames(), " "))
}

func labRunAll(ctx context.Context, inv *grammar.Invocation) error {
	switch {
	case len(inv.Args) > 0:
		return inv.Usage("--all takes no name")
	case inv.Options.JSON:
		return labRunner(inv).AllJSON(ctx, inv.Options.Pretty)
	}
	return labRunner(inv).All(ctx)
}

// labShell opens a shell: in a network on the client, in a scenario where doctor is
// to look.
func (a *app) labShell(ctx context.Context, inv *grammar.Invocation) error {
	name := runner.ProcedureNetwork
	switch len(inv.Args) {
	case 0:
	case 1:
		name = inv.Args[0]
	default:
		return inv.Usage("want at most one name; `lab list` lists them")
	}
	if s, ok := scenario.Find(name); ok {
		return labRunner(inv).ScenarioShell(ctx, s)
	}
	topology, err := labNetwork(inv, name)
	if err != nil {
		return err
	}
	return labRunner(inv).NetworkShell(ctx, topology)
}

// labNetwork returns the network of that name.
func labNetwork(inv *grammar.Invocation, name string) (lab.Topology, error) {
	topology, ok := scenario.FindTopology(name)
	if !ok {
		names := "; `lab list` lists them"
		if meant := proposal.DidYouMean(name, labNames()); meant != "" {
			names = meant
		}
		return topology, inv.Usage(fmt.Sprintf("%q is neither a network nor a scenario%s", name, names))
	}
	return topology, nil
}
