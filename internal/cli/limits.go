package cli

import (
	"context"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
)

func (a *app) limitsCommand() grammar.Command {
	return grammar.Command{
		Name:      "limits",
		Summary:   "limits on additional subflows and accepted addresses of a connection",
		Help:      limitsHelp,
		Privilege: "show: none; set: CAP_NET_ADMIN in the network namespace",
		IPRoute:   true,
		Default:   "show",
		Verbs: []grammar.Command{
			{
				Name: "set", Summary: "change one limit or both",
				Synopsis: []string{"[ subflows NUMBER ] [ add_addr_accepted NUMBER ]"},
				Help: "The limits also apply to existing connections. The kernel refuses numbers above its maximum, " +
					"which is 8 up to Linux 7.1 and 64 since then; " +
					"in that case nothing changes.",
				Keywords: []grammar.Keyword{
					{Name: "subflows", Value: grammar.Number, Summary: "additional subflows, beyond the initial one"},
					{
						Name:    "add_addr_accepted",
						Value:   grammar.Number,
						Summary: "announced addresses of the peer to which this host connects",
					},
				},
				Examples: []grammar.Example{
					{
						Line:    "limits set add_addr_accepted 1 subflows 1",
						Meaning: "allow one additional subflow, also to an announced address",
					},
				},
				Run: a.endpointRun((*app).setLimits),
			},
			{
				Name: "show", Summary: "print the limits", Synopsis: []string{""}, Privilege: "none",
				Examples: []grammar.Example{{Line: "-j limits show", Meaning: "the limits as JSON"}},
				Run:      a.showRun((*app).showLimits),
			},
		},
	}
}

func (a *app) setLimits(ctx context.Context, pm pathManager, inv *grammar.Invocation) error {
	update, err := iproute.ParseLimits(inv.Args)
	if err != nil {
		return err
	}
	return pm.SetLimits(ctx, update)
}

func (a *app) showLimits(ctx context.Context, places []place, inv *grammar.Invocation) error {
	// iproute2 reads the words of show as it does those of set, and ignores them.
	if _, err := iproute.ParseLimits(inv.Args); err != nil {
		return err
	}
	var b []byte
	var all []present.LimitsOf
	for _, p := range places {
		limits, err := p.Limits(ctx)
		if err != nil {
			return err
		}
		all = append(all, present.LimitsOf{Netns: p.netns, Limits: limits})
		b = present.AppendLimits(b, limits, present.NetnsEnd(p.netns, a.lineEnd(inv)))
	}
	if inv.Options.JSON && !a.asIP {
		b = present.AppendLimitsJSON(nil, all, inv.Options.Pretty)
	}
	_, err := inv.Stdout.Write(b)
	return err
}
