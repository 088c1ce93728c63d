package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"mptcpctl/internal/grammar"
)

func (a *app) helpCommand() grammar.Command {
	return grammar.Command{
		Name:      "help",
		Summary:   "explain a command, with its grammar and examples",
		Synopsis:  []string{"[ COMMAND [ VERB ] ]", "filter"},
		Help:      helpHelp,
		Privilege: "none",
		Flags: []grammar.Flag{
			{Name: "man", Summary: "write a manual page (mdoc) instead"},
			{Name: "man-list", Summary: "list the manual pages, for installers"},
		},
		Operand: grammar.Subject,
		Examples: []grammar.Example{
			{Line: "help endpoint add", Meaning: "the grammar of one verb"},
			{Line: "help --man endpoint | man -l -", Meaning: "the manual page of a command"},
		},
		Run: a.help,
	}
}

func (a *app) help(_ context.Context, inv *grammar.Invocation) error {
	if inv.Has("man-list") {
		return a.writeManualNames(inv.Stdout)
	}
	if inv.Has("man") && len(inv.Args) == 1 {
		if inv.Args[0] == a.program { // as --man-list names it
			inv.Args = nil
		} else {
			inv.Args[0] = strings.TrimPrefix(inv.Args[0], a.program+"-")
		}
	}
	if len(inv.Args) == 0 {
		if inv.Has("man") {
			return grammar.WriteProgramManual(inv.Stdout, a.manual())
		}
		return grammar.WriteOverview(inv.Stdout, a.program, a.commands())
	}
	if topic := filterTopic(); len(inv.Args) == 1 && inv.Args[0] == topic.Name && !inv.Has("man") {
		return topic.WriteHelp(inv.Stdout, a.program)
	}
	entry, ok := grammar.Find(a.commands(), inv.Args[0])
	if !ok {
		return grammar.UnknownCommand(inv.Args[0], a.commands(), filterTopic().Name)
	}
	row := entry.Build()
	if inv.Has("man") {
		return grammar.WriteManual(inv.Stdout, a.manual(), &row)
	}
	command, path := &row, row.Name
	for _, word := range inv.Args[1:] {
		verb := command.Verb(word)
		if verb == nil {
			return command.UnknownVerb(path, word)
		}
		command, path = command.Inherit(verb), path+" "+verb.Name
	}
	return command.WriteHelp(inv.Stdout, a.program, path)
}

// writeManualNames writes the names of the manual pages, one a line.
func (a *app) writeManualNames(w io.Writer) error {
	_, err := fmt.Fprintln(w, a.program)
	for _, e := range a.commands() {
		if row := e.Build(); !row.Hidden && err == nil {
			_, err = fmt.Fprintln(w, a.program+"-"+row.Name)
		}
	}
	return err
}
