package cli

import (
	"slices"

	"mptcpctl/counters"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/proposal"
)

// counterProposal returns the proposal for a word that no counter's name contains.
func counterProposal(inv *grammar.Invocation, values counters.Values, word string) string {
	names := counterNames(values)
	for _, k := range inv.Command.Keywords {
		names = append(names, k.Name)
	}
	return proposal.DidYouMean(word, append(names, inv.Verbs...))
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
