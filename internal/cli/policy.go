package cli

import (
	"context"
	"errors"
	"fmt"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/policy/apply"
)

func (a *app) policyCommand() grammar.Command {
	return grammar.Command{
		Name:      "policy",
		Summary:   "set endpoints and limits from a file, and keep them that way",
		Help:      policyHelp,
		Privilege: "plan and export: none; apply and watch: CAP_NET_ADMIN in the network namespace",
		Verbs: []grammar.Command{
			a.policyVerb(
				"plan",
				"show show what `apply` would change",
				(*apply.Run).Plan,
				grammar.Example{
					Line:    "policy plan /etc/mptcpctl/policy.toml",
					Meaning: "see the changes before applying them",
				},
			),
			a.policyVerb(
				"apply",
				"set the kernel's endpoints and limits as the file says",
				(*apply.Run).Apply,
				grammar.Example{
					Line:    "policy apply /etc/mptcpctl/policy.toml",
					Meaning: "applying it again changes nothing",
				},
			),
			a.policyVerb(
				"watch",
				"apply, and keep it applied while links come and go",
				(*apply.Run).Watch,
				grammar.Example{
					Line:    "policy watch /etc/mptcpctl/policy.toml",
					Meaning: "until interrupted; the endpoints stay",
				},
			),
			{
				Name:     "export",
				Summary:  "print the present endpoints and limits as a policy file",
				Synopsis: []string{""},
				Examples: []grammar.Example{{Line: "policy export > policy.toml", Meaning: "a file to start from"}},
				Run:      a.policyExport,
			},
		},
	}
}

func (a *app) policyVerb(
	name, summary string, run func(*apply.Run, context.Context) error, example grammar.Example,
) grammar.Command {
	return grammar.Command{
		Name: name, Summary: summary, Synopsis: []string{"FILE [ --exclusive ] [ --state DIR ]"},
		Help: map[string]string{
			"watch": policyWatchHelp,
		}[name],
		Operand: grammar.File,
		Flags: []grammar.Flag{
			{Name: "exclusive", Summary: "also take over, change and remove endpoints that others added"},
			{
				Name:    "state",
				Value:   grammar.File,
				Metavar: "DIR",
				Summary: "the folder that records which endpoints belong to the policy (" + apply.Directory + ")",
			},
		},
		Examples: []grammar.Example{example},
		Run: func(ctx context.Context, inv *grammar.Invocation) error {
			r, err := a.newPolicyRun(inv)
			if err != nil {
				return err
			}
			defer r.Close()
			err = run(r, ctx)
			if err == nil || errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: %w", inv.Path, err)
		},
	}
}

// newPolicyRun opens the policy that the command line names.
func (a *app) newPolicyRun(inv *grammar.Invocation) (*apply.Run, error) {
	if len(inv.Args) != 1 {
		return nil, inv.Usage("want one FILE")
	}
	directory, _ := inv.Value("state")
	r, err := apply.Open(&apply.Config{
		File: inv.Args[0], Exclusive: inv.Has("exclusive"), Directory: directory,
		Dial: func() (apply.PathManager, error) { return a.pathManager() },
		Out:  inv.Stdout, JSON: inv.Options.JSON, Pretty: inv.Options.Pretty, Warn: a.warn,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", inv.Path, err)
	}
	return r, nil
}

func (a *app) policyExport(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) > 0 {
		return inv.Usage("takes no arguments")
	}
	if err := line.NoJSON(inv, "-j endpoint show and -j limits show have"); err != nil {
		return err
	}
	pm, err := a.pathManager()
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	if err := apply.Export(ctx, pm, inv.Stdout); err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	return nil
}
