package face

import "mptcpctl/internal/grammar"

// History is the row of what was kept. Each verb has its own run.
func History(list, show, diff, verify grammar.Run) grammar.Command {
	return grammar.Command{
		Name:    "history",
		Summary: "what happened on this host: events, ended connections, changes, as serve --history kept them",
		Synopsis: []string{
			"[ FILTER ] [ since TIME ] [ until TIME ] [ -f ]", "show TOKEN|PAIR", "diff TIME TIME", "verify",
		},
		Help:      historyHelp,
		Privilege: "that of reading the folder: it is the server's alone, so root",
		Default:   "list",
		Lenient:   true,
		Flags: []grammar.Flag{{
			Name: "dir", Value: grammar.File, Metavar: "DIR",
			Summary: "the folder of the history (default $MPTCPCTL_HISTORY, else that of serve --history)",
		}},
		Examples: []grammar.Example{
			{Line: "history since 03:00 until 04:00", Meaning: "what happened in that hour"},
			{Line: "history dst 192.0.2.0/24 since yesterday", Meaning: "events and ends of connections to a network"},
			{Line: "history show 63c070d2", Meaning: "the whole story of one connection"},
			{Line: "history diff yesterday-14:00 now", Meaning: "what was changed since then"},
		},
		Verbs: []grammar.Command{
			{
				Name: "list", Summary: "events and ends of connections, a line each",
				Synopsis: []string{"[ FILTER ] [ since TIME ] [ until TIME ] [ -f ]"},
				Flags: []grammar.Flag{{
					Name: "follow", Letter: 'f', Summary: "go on with what happens from now on",
				}},
				Keywords: []grammar.Keyword{
					{
						Name: "since", Value: grammar.Word,
						Summary: "leave out what was before: 03:00, yesterday-14:05, 10m-ago",
					},
					{Name: "until", Value: grammar.Word, Summary: "leave out what came later"},
				},
				Operand: grammar.Filter,
				Run:     list,
			},
			{
				Name: "show", Summary: "the whole story of one connection", Synopsis: []string{"TOKEN|PAIR"},
				Run: show,
			},
			{
				Name: "diff", Summary: "what changed on the host between two moments", Synopsis: []string{"TIME TIME"},
				Run: diff,
			},
			{
				Name: "verify", Summary: "whether all lines that were written are there", Synopsis: []string{""},
				Run: verify,
			},
		},
	}
}
