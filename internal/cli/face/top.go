package face

import "mptcpctl/internal/grammar"

// Top is the row of the terminal view.
func Top(run grammar.Run) grammar.Command {
	return grammar.Command{
		Name:    "top",
		Summary: "show a live terminal view of connections, events, endpoints and findings",
		Synopsis: []string{
			"[ --screen NAME ] [ --plain [ --interval TIME ] [ --count NUMBER ] ] [ --allow-changes ] [ FILTER ]",
		},
		Help: topHelp,
		Privilege: "none; CAP_NET_ADMIN in the network namespace for events and changes; only root sees the " +
			"processes of other users",
		Operand: grammar.Filter,
		Flags: []grammar.Flag{
			{
				Name:    "screen",
				Value:   grammar.Word,
				Metavar: "NAME",
				Choices: []string{"overview", "connections", "connection", "events", "endpoints", "doctor"},
				Summary: "begin with overview, connections, connection, events, endpoints or doctor",
			},
			{Name: "plain", Summary: "print lines, without moving the cursor"},
			{
				Name:    "interval",
				Value:   grammar.Duration,
				Metavar: "TIME",
				Summary: "the time between two outputs of --plain in a pipe (default 1s)",
			},
			{
				Name:    "count",
				Value:   grammar.Number,
				Metavar: "NUMBER",
				Summary: "how many times --plain prints (default: until interrupted)",
			},
			{Name: "allow-changes", Summary: "allow changing endpoints and limits from the view"},
		},
		Examples: []grammar.Example{
			{Line: "top", Meaning: "all connections of this network namespace"},
			{Line: "top --screen connections dst :443", Meaning: "connections to port 443"},
			{Line: "top --plain --count 1", Meaning: "the overview once, as lines"},
			{Line: "--replay night.mptcp top", Meaning: "a recording"},
		},
		Run: run,
	}
}
