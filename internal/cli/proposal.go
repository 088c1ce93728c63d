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
		names = append(names, counters.Words(name)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
