package line

import "mptcpctl/internal/grammar"

// NoJSON refuses -j where there is nothing that could be JSON, instead of printing
// something else.
func NoJSON(inv *grammar.Invocation, instead string) error {
	if inv.Options.JSON {
		return inv.Usage("-j: this has no JSON form; " + instead)
	}
	return nil
}
