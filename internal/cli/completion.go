package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"mptcpctl/internal/grammar"
)

func (a *app) completionCommand() grammar.Command {
	return grammar.Command{
		Name:      "completion",
		Summary:   "print the completion script for a shell",
		Help:      "The script asks this program which words may follow, so it never gets out of date.",
		Privilege: "none",
		Examples: []grammar.Example{
			{Line: "completion bash > /etc/bash_completion.d/mptcpctl", Meaning: "for all users of bash"},
			{Line: "completion zsh > ~/.zfunc/_mptcpctl", Meaning: "for zsh, if fpath contains ~/.zfunc"},
			{Line: "completion fish > ~/.config/fish/completions/mptcpctl.fish", Meaning: "for fish"},
		},
		Synopsis: []string{"bash", "zsh", "fish"},
		Verbs: []grammar.Command{
			{
				Name:     "bash",
				Summary:  "the script for bash 4 or later",
				Synopsis: []string{""},
				Run:      a.completionScript("bash"),
			},
			{Name: "zsh", Summary: "the script for zsh", Synopsis: []string{""}, Run: a.completionScript("zsh")},
			{Name: "fish", Summary: "the script for fish", Synopsis: []string{""}, Run: a.completionScript("fish")},
			{
				Name:     "words",
				Hidden:   true,
				Summary:  "the words that may follow",
				Synopsis: []string{"-- WORD..."},
				Run:      a.completionWords,
			},
		},
	}
}

func (a *app) completionScript(shell string) grammar.Run {
	return func(_ context.Context, inv *grammar.Invocation) error {
		return grammar.WriteScript(inv.Stdout, shell, a.program)
	}
}

// completionWords prints what may stand in place of the last word.
func (a *app) completionWords(ctx context.Context, inv *grammar.Invocation) error {
	words := inv.Args
	if len(words) == 0 {
		words = []string{""}
	}
	completion := grammar.Complete(a.commands(), words)
	before := wordBefore(words)
	if completion.Kind == grammar.Filter && filterTakesValue(before) {
		completion = grammar.Completion{Words: filterCandidates(before), Kind: filterKind(before)}
	}
	if isOfNetns(completion.Kind) && !enteredFor(inv, words) {
		completion.Kind = grammar.None // this namespace's values are not wanted
	}
	if completion.Kind == grammar.File || completion.Kind == grammar.Program {
		fmt.Fprintln(inv.Stdout, ":file")
	}
	last := words[len(words)-1]
	values := a.values(ctx, completion.Kind)
	if completion.Kind == grammar.Filter {
		values = filterCandidates(before)
	}
	if completion.Kind == grammar.Filter || completion.Kind == grammar.Subject {
		values = append(values, wordsBehind(before)...)
	}
	for _, c := range append(completion.Words, values...) {
		if strings.HasPrefix(c.Word, last) {
			fmt.Fprintf(inv.Stdout, "%s\t%s\n", c.Word, c.Summary)
		}
	}
	return nil
}

// wordsBehind returns what only one command takes, and only as its first word: the
// rules that doctor explains, the topics of help.
func wordsBehind(command string) []grammar.Candidate {
	var words []grammar.Candidate
	switch command {
	case "help":
		topic := filterTopic()
		return []grammar.Candidate{{Word: topic.Name, Summary: topic.Summary}}
	case "doctor":
		words = append(words, grammar.Candidate{Word: "explain", Summary: "lists the rules, or explains one"})
	case "explain":
	default:
		return nil
	}
	for _, r := range allRules() {
		words = append(words, grammar.Candidate{Word: string(r.ID), Summary: r.Title})
	}
	return words
}

// wordBefore returns the word in front of the last one, "" for none.
func wordBefore(words []string) string {
	if len(words) < 2 {
		return ""
	}
	return words[len(words)-2]
}

// isOfNetns reports whether network namespaces differ in the values of the kind.
func isOfNetns(kind grammar.Kind) bool {
	switch kind {
	case grammar.Device, grammar.ID, grammar.Address, grammar.Token:
		return true
	}
	return false
}

// enteredFor reports whether this process is in the network namespace that -n
// among the words names. It starts the program again there if it can, and then
// does not return.
func enteredFor(inv *grammar.Invocation, words []string) bool {
	var o grammar.Options
	if _, err := o.Front(words[:len(words)-1]); err != nil {
		return false
	}
	if o.Netns == inv.Options.Netns {
		return true
	}
	args := append([]string{os.Args[0], "-n", o.Netns, "completion", "words", "--"}, words...)
	return o.Netns != "" && inv.Options.Netns == "" && enterNetnsWith(o.Netns, args) == nil
}
