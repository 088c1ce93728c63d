package line

import (
	"errors"
	"slices"
	"strconv"

	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
)

// Filter reads the arguments of the command as an expression.
func Filter(inv *grammar.Invocation) (*filter.Expr, error) {
	expr, err := filter.Parse(inv.Args...)
	if err != nil {
		return nil, inv.Usage(FilterText(inv, err))
	}
	o := &inv.Options
	if expr.NamesNetns() && !o.AllNetns && o.Netns == "" && o.Replay == "" && !inv.Has("from") {
		return nil, inv.Usage(
			"netns: only one network namespace is watched, and it has no name; -a watches all of them",
		)
	}
	return expr.Within(o.Netns), nil
}

// FilterText returns what is wrong with a filter on the command line. Where the wrong
// word is likely to be another one with a mistake, it names that one, and not all
// words that could stand there.
func FilterText(inv *grammar.Invocation, err error) string {
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
