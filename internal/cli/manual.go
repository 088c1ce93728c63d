package cli

import (
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"mptcpctl/internal/grammar"
)

// manual returns what the manual pages say beside the table.
func (a *app) manual() *grammar.Manual {
	return &grammar.Manual{
		Program: a.program,
		Summary: "see, explain and manage Multipath TCP",
		Description: a.program + " shows the Multipath TCP connections of a host with their subflows, follows the " +
			"kernel's events, manages the endpoints and limits of the in-kernel path manager, and explains " +
			"why a connection has fewer subflows than it could.\n\n" +
			"Its command lines have the shape of ip(8): an object, a verb, and keywords. Objects, verbs " +
			"and options may be shortened; a mistyped one gets a proposal. endpoint, limits and monitor " +
			"take what follows `ip mptcp` and print the same text.\n\n" +
			"Commands that only show something need no privilege. Changes and events need CAP_NET_ADMIN in the " +
			"network " +
			"namespace.",
		Entries: a.commands(),
		Topics:  []grammar.Topic{filterTopic()},
		Date:    buildDate(),
		ExitCodes: [][2]string{
			{"0", "done"}, {"1", "failed"},
			{"2", "wrong usage; in endpoint, limits and monitor: refused by the kernel"},
			{"3", "in doctor, where 1 and 2 mean warnings and failures: wrong usage, or no verdict"},
			{"255", "wrong usage of endpoint, limits and monitor, or a network namespace that cannot be entered"},
		},
		Environment: [][2]string{{"NO_COLOR", "no colours, whatever the terminal supports"}},
		SeeAlso:     []string{"ip-mptcp 8", "ss 8", "mptcp 7"},
	}
}

// buildDate returns when the program's source was committed, or the date that
// SOURCE_DATE_EPOCH gives, so that a package's pages do not change from build to
// build. Where neither is known it is today.
func buildDate() time.Time {
	if s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(s, 0).UTC()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Now().UTC()
}
