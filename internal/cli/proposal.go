package cli

import (
	"slices"

	"mptcpctl/counters"
	"mptcpctl/internal/grammar"
)

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
