package line

import (
	"errors"
	"slices"

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

// FilterText returns what is wrong with a filter on the command line. The command's own
// verbs and keywords may have been meant, too.
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
	return wrong.Among(names)
}
