package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/present"
)

func (a *app) labCommand() grammar.Command {
	return grammar.Command{
		Name:      "lab",
		Summary:   "MPTCP on the real kernel, in network namespaces, on one machine",
		Synopsis:  []string{"[ demo ]", "list", "run { NAME | --all }", "shell [ NAME ]"},
		Help:      labHelp,
		Privilege: "none where user namespaces are allowed, else root",
		Default:   "demo",
		Examples: []grammar.Example{
			{Line: "lab", Meaning: "the whole procedure"},
			{Line: "lab run announce", Meaning: "a server that announces its second address"},
			{Line: "lab shell two-subnets", Meaning: "a client with two links to try things on"},
			{Line: "lab run join-dropped", Meaning: "a firewall on the second path, and what doctor makes of it"},
			{Line: "lab run --all", Meaning: "all scenarios, expected and found"},
		},
		Verbs: []grammar.Command{
			{Name: "demo", Summary: "Red Hat's procedure, step by step", Synopsis: []string{""}, Run: a.labDemo},
			{Name: "list", Summary: "the networks and scenarios that `run` and `shell` take", Synopsis: []string{""}, Run: a.labList},
			{
				Name: "run", Summary: "build a network, connect over it, show what comes up, or what is wrong", Synopsis: []string{"NAME", "--all"},
				Operand: grammar.Word, Choices: labNames(), Run: a.labRun,
				Flags: []grammar.Flag{{Name: "all", Summary: "run all scenarios, show what doctor finds in each"}},
			},
			{Name: "shell", Summary: "a shell in the client of a network, or where a scenario goes wrong", Synopsis: []string{"[ NAME ]"}, Operand: grammar.Word, Choices: labNames(), Run: a.labShell},
		},
	}
}

func labNames() []string {
	var names []string
	for _, t := range lab.Topologies() {
		names = append(names, t.Name)
	}
	for _, s := range lab.Scenarios() {
		names = append(names, s.Name)
	}
	return names
}

// enterLab makes sure that namespaces can be made and that the kernel has MPTCP.
// Where the program had to start again as root of a user namespace, that run has
// done everything, and its exit code is the error.
func enterLab() error {
	code, ran, err := lab.Enter()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	if ran {
		return exit.Status(code)
	}
	ns, err := lab.NewNamespace()
	if err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	defer ns.Close()
	if err := ns.Do(lab.CheckMPTCP); err != nil {
		return fmt.Errorf("lab: %w", err)
	}
	return nil
}

func (a *app) labList(_ context.Context, inv *grammar.Invocation) error {
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, labEntries(), inv.Options.Pretty)
	}
	colors := palette(inv)
	fmt.Fprintf(inv.Stdout, "%sNetworks%s\n", colors.Bold, colors.Reset)
	for _, t := range lab.Topologies() {
		fmt.Fprintf(inv.Stdout, "%-28s %s\n", t.Name, t.Summary)
	}
	fmt.Fprintf(inv.Stdout, "\n%sScenarios, and what doctor finds%s\n", colors.Bold, colors.Reset)
	for _, s := range lab.Scenarios() {
		if _, err := fmt.Fprintf(inv.Stdout, "%-28s %-8s %s\n", s.Name, s.Rule, s.Summary); err != nil {
			return err
		}
	}
	return nil
}

// labEntry is a network or a scenario as JSON.
type labEntry struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"` // "network" or "scenario"
	Summary string `json:"summary"`
	Host    string `json:"host,omitempty"` // where doctor is to look
	Rule    string `json:"rule,omitempty"` // what it must find there, or "healthy"
}

func labEntries() []labEntry {
	var entries []labEntry
	for _, t := range lab.Topologies() {
		entries = append(entries, labEntry{Name: t.Name, Kind: "network", Summary: t.Summary})
	}
	for _, s := range lab.Scenarios() {
		entries = append(entries, scenarioEntry(s))
	}
	return entries
}

func scenarioEntry(s lab.Scenario) labEntry {
	return labEntry{Name: s.Name, Kind: "scenario", Summary: s.Summary, Host: s.Host, Rule: string(s.Rule)}
}

// noJSON refuses -j where there is nothing that could be JSON, instead of printing
// something else.
func noJSON(inv *grammar.Invocation, instead string) error {
	if inv.Options.JSON {
		return inv.Usage("-j: this has no JSON form; " + instead)
	}
	return nil
}

func (a *app) labDemo(ctx context.Context, inv *grammar.Invocation) error {
	if err := noJSON(inv, "-j lab run --all has one"); err != nil {
		return err
	}
	if len(inv.Args) > 0 {
		return inv.Usage("takes no arguments; the networks are run with: lab run NAME")
	}
	if err := enterLab(); err != nil {
		return err
	}
	narrator := &labNarrator{out: inv.Stdout, colors: palette(inv)}
	narrator.title("MPTCP on this machine's kernel: Red Hat's procedure for monitoring subflows")
	report, err := lab.Procedure(ctx, narrator, ownCommand())
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return err
		}
		return fmt.Errorf("lab: %w", err)
	}
	narrator.title("What the procedure promises, and what was seen")
	if err := report.WriteTable(inv.Stdout); err != nil {
		return err
	}
	if !report.OK() {
		return errors.New("lab: the procedure did not go as promised")
	}
	_, err = fmt.Fprintf(inv.Stdout, "\nAll as promised, in %.1f s.\n", report.Took.Seconds())
	return err
}

// openLab builds the network of that name and gives its hosts their limits and
// endpoints.
func (a *app) openLab(ctx context.Context, inv *grammar.Invocation, name string, narrator lab.Narrator) (*lab.Lab, error) {
	topology, ok := lab.FindTopology(name)
	if !ok {
		names := "; `lab list` names them"
		if proposal := grammar.DidYouMean(name, labNames()); proposal != "" {
			names = proposal
		}
		return nil, inv.Usage(fmt.Sprintf("%q is no network and no scenario%s", name, names))
	}
	if err := enterLab(); err != nil {
		return nil, err
	}
	l, err := lab.Build(ctx, topology)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	for _, spec := range topology.Hosts {
		for _, command := range spec.Commands() {
			if err := labCommandLine(ctx, l.Host(spec.Name), narrator, command...); err != nil {
				return nil, errors.Join(err, l.Close())
			}
		}
	}
	return l, nil
}

// labCommandLine runs one command of this program in the host, and shows it.
func labCommandLine(ctx context.Context, host *lab.Host, narrator lab.Narrator, args ...string) error {
	narrator.Command(host.Name, commandLine(args))
	lines, code, err := host.RunProcess(ctx, lab.ToolConfig(ownCommand(), args...))
	for _, line := range lines {
		narrator.Output(host.Name, line)
	}
	if err != nil {
		return fmt.Errorf("lab: %s on %s: %w", commandLine(args), host.Name, err)
	}
	if code != 0 {
		return fmt.Errorf("lab: %s on %s: exit status %d", commandLine(args), host.Name, code)
	}
	return nil
}

// ownCommand returns the command that starts this program again. Its file's name
// is the process's name, so that it is taken where it is the one that was called.
func ownCommand() []string {
	self, err := os.Executable()
	if err != nil || filepath.Base(self) != filepath.Base(os.Args[0]) {
		return []string{"/proc/self/exe"}
	}
	return []string{self}
}

// commandLine returns the arguments as a user types them.
func commandLine(args []string) string {
	line := "mptcpctl"
	for _, arg := range args {
		line += " " + shellWord(arg)
	}
	return line
}
