package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/pathadvice"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
)

func (a *app) pathsCommand() grammar.Command {
	return grammar.Command{
		Name:      "paths",
		Summary:   "list the addresses of this host as candidate paths, and how to use them",
		Synopsis:  []string{"[ to HOST ] [ mark MARK ] [ uid UID ]"},
		Help:      pathsHelp,
		Privilege: "none",
		Keywords: []grammar.Keyword{
			{Name: "to", Value: grammar.Host, Summary: "the destination"},
			line.MarkKeyword(), line.UIDKeyword(),
		},
		Examples: []grammar.Example{
			{Line: "paths to 192.0.2.1", Meaning: "the paths to one server"},
			{Line: "-6 paths", Meaning: "the IPv6 paths to the outside"},
			{Line: "paths to 192.0.2.1 mark 0x2", Meaning: "the paths of a flow with this mark"},
		},
		Run: a.paths,
	}
}

func (a *app) paths(ctx context.Context, inv *grammar.Invocation) error {
	key, err := pathsKey(ctx, inv)
	if err != nil {
		return err
	}
	facts, err := line.Open(ctx, inv)
	if err != nil {
		return fmt.Errorf("paths: %w", err)
	}
	defer facts.Close()
	var answers []*present.Paths
	reached := false
	for _, view := range facts.Views() {
		answer, err := pathsOf(ctx, inv, view, key)
		if err != nil {
			return fmt.Errorf("paths: %w", err)
		}
		answers = append(answers, answer)
		reached = reached || reachable(answer.Destinations)
	}
	if err := writePaths(inv, answers); err != nil {
		return err
	}
	if key.Dst.IsValid() && !reached {
		return exit.Status(exit.Failed)
	}
	return nil
}

// pathsOf returns the paths of one network namespace.
func pathsOf(
	ctx context.Context, inv *grammar.Invocation, view source.View, key hostnet.LookupRequest,
) (*present.Paths, error) {
	report, err := view.Paths(ctx, key)
	if err != nil {
		return nil, err
	}
	endpoints, err := allEndpoints(ctx, view)
	if err != nil {
		return nil, err
	}
	limits, err := view.Limits(ctx)
	if err != nil {
		return nil, err
	}
	where := doctor.Facts{Enter: view.Enter(), Netns: view.Netns()}
	answers := pathadvice.Advice{Device: view.DeviceName, Inside: where.Inside}
	if settings, err := view.Sysctls(); err == nil {
		answers.Settings = settings
	}
	if listeners, err := view.Listeners(ctx); err == nil {
		answers.Silent = len(listeners) == 0
	}
	answer := answers.Of(ofPathFamilies(&inv.Options, report), endpoints, limits)
	answer.Netns = view.Netns()
	answer.Notes = append(answer.Notes, line.FlowNotes(key, report.Open)...)
	return answer, nil
}

// writePaths writes the answers: one of the reader's own namespace as an object, named
// ones as a list.
func writePaths(inv *grammar.Invocation, answers []*present.Paths) error {
	single := len(answers) == 1 && answers[0].Netns == ""
	switch {
	case inv.Options.JSON && single:
		return present.JSON(inv.Stdout, answers[0], inv.Options.Pretty)
	case inv.Options.JSON:
		return present.JSON(inv.Stdout, answers, inv.Options.Pretty)
	}
	for i, answer := range answers {
		if i > 0 {
			if _, err := io.WriteString(inv.Stdout, "\n"); err != nil {
				return err
			}
		}
		if err := present.WritePaths(inv.Stdout, answer, line.Palette(inv), inv.Options.Details); err != nil {
			return err
		}
	}
	return nil
}

// reachable reports whether an initial subflow leads to one of the destinations.
func reachable(destinations []hostnet.Destination) bool {
	return slices.ContainsFunc(destinations, func(d hostnet.Destination) bool { return d.Problem == "" })
}

// pathsKey returns the flow that is asked about; its destination is not valid where none is
// given.
func pathsKey(ctx context.Context, inv *grammar.Invocation) (key hostnet.LookupRequest, err error) {
	args, err := line.Flow(inv, inv.Args, &key)
	if err != nil {
		return key, err
	}
	if len(args) > 0 && args[0] == "to" {
		if args = args[1:]; len(args) == 0 {
			return key, inv.Usage("to: the destination's address is missing")
		}
	}
	switch len(args) {
	case 0:
		return key, nil
	case 1:
		key.Dst, err = line.Resolve(ctx, inv, args[0])
		return key, err
	}
	return key, inv.Usage(fmt.Sprintf("%q: one destination at a time", args[1]))
}

// ofPathFamilies leaves the families that -4 and -6 ask for.
func ofPathFamilies(o *grammar.Options, report hostnet.PathReport) hostnet.PathReport {
	if o.IPv4 == o.IPv6 {
		return report
	}
	family := mptcp.FamilyINET
	if o.IPv6 {
		family = mptcp.FamilyINET6
	}
	var kept hostnet.PathReport
	for _, d := range report.Destinations {
		if d.Family == family {
			kept.Destinations = append(kept.Destinations, d)
		}
	}
	for _, p := range report.Paths {
		if p.Family == family {
			kept.Paths = append(kept.Paths, p)
		}
	}
	return kept
}
