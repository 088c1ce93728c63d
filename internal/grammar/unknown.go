package grammar

import (
	"slices"
	"strconv"
	"strings"

	"mptcpctl/internal/proposal"
)

// unknownCommand returns the error about a word that is none of the commands.
func unknownCommand(path, word string, names []string) error {
	return &UsageError{
		Path:    path,
		Message: "unknown command " + strconv.Quote(word) + proposal.DidYouMean(word, names),
		Word:    word,
	}
}

// UnknownCommand returns the error about a word that is none of the entries, nor one of
// the other names that may stand there.
func UnknownCommand(word string, entries []Entry, names ...string) error {
	for _, e := range entries {
		if row := e.Build(); !row.Hidden {
			names = append(names, row.Name)
		}
	}
	return unknownCommand("", word, names)
}

// UnknownVerb returns the error about a word that is none of the command's verbs. The
// path is the command's full name.
func (c *Command) UnknownVerb(path, word string) error {
	return unknownCommand(path, word, c.verbNames())
}

// unknownOption returns the error about a word with a dash that is neither a global
// option nor one of the flags.
func unknownOption(path, word string, flags []Flag) error {
	typed, _, _ := strings.Cut(word, "=")
	bare := strings.TrimPrefix(strings.TrimPrefix(typed, "-"), "-")
	dashes := strings.TrimSuffix(typed, bare)
	var names []string
	for i := range flags {
		names = append(names, flags[i].Name)
	}
	own := len(names)
	for _, g := range Globals() {
		names = append(names, g.Name)
	}
	proposals := proposal.Propose(bare, names)
	for i, name := range proposals {
		proposals[i] = dashes + name
		if slices.Contains(names[:own], name) {
			proposals[i] = "--" + name // the one form that a command's own flags have
		}
	}
	meant := proposal.Question(proposals)
	return &UsageError{Path: path, Message: "unknown option " + strconv.Quote(word) + meant, Option: word}
}
