package cli

import (
	"errors"
	"slices"
	"strconv"

	"mptcpctl/counters"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
)

// filterText returns what is wrong with a filter on the command line. Where the wrong
// word is likely to be another one with a mistake, it names that one, and not all
// words that could stand there.
func filterText(inv *grammar.Invocation, err error) string {
	wrong, ok := errors.AsType[*filter.Error](err)
	if !ok {
		return err.Error()
	}
	names := slices.Clone(wrong.Names)
	if wrong.Offset == 0 {
		names = append(names, inv.Verbs...)
	}
	for _, k := range inv.Command.Keywords {
		names = append(names, k.Name)
	}
	if proposal := grammar.DidYouMean(wrong.Unknown, names); proposal != "" {
		return "filter: unknown word " + strconv.Quote(wrong.Unknown) + proposal
	}
	return err.Error()
}

// counterProposal returns the proposal for the first of the words that has one.
func counterProposal(inv *grammar.Invocation, values counters.Values, words []string) string {
	names := counterNames(values)
	for _, k := range inv.Command.Keywords {
		names = append(names, k.Name)
	}
	names = append(names, inv.Verbs...)
	for _, word := range words {
		if proposal := grammar.DidYouMean(word, names); proposal != "" {
			return proposal
		}
	}
	return ""
}

// counterNames returns what one may have meant by a word for counters: their names,
// and the words that these are made of.
func counterNames(values counters.Values) []string {
	names := values.Names()
	for _, name := range values.Names() {
		names = append(names, wordsOf(name)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// wordsOf returns the words of a counter's name: Fallback and Init of
// MPFallbackTokenInit. Capitals side by side, as in SYNRX, are no word.
func wordsOf(name string) []string {
	var words []string
	begin := 0
	for i := 1; i <= len(name); i++ {
		if i < len(name) && (name[i] < 'A' || name[i] > 'Z') {
			continue
		}
		if word := name[begin:i]; len(word) > 3 {
			words = append(words, word)
		}
		begin = i
	}
	return words
}
