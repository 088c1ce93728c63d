package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/mptcp"
)

// connectionToken reads the word that names a connection: its token, or a filter
// that matches one.
func (a *app) connectionToken(ctx context.Context, inv *grammar.Invocation, word string) (mptcp.Token, error) {
	t, err := mptcp.ParseToken(word)
	switch {
	case err == nil && t == 0:
		return 0, inv.Usage("token 0 names no connection")
	case err == nil:
		return t, nil
	}
	expr, wrong := filter.Parse(word)
	if wrong != nil || expr == nil {
		return 0, inv.Usage(fmt.Sprintf("%v; nor is it a filter%s", err, because(inv, wrong)))
	}
	connections, err := namedConnections(ctx, inv, expr, false)
	if err != nil {
		return 0, err
	}
	return connections[0].Token, nil
}

// namedConnections returns the one connection that the filter matches, or with all
// set every one. None, and several that were not asked for, are an error.
func namedConnections(
	ctx context.Context, inv *grammar.Invocation, expr *filter.Expr, all bool,
) ([]mptcp.Connection, error) {
	connections, err := readConnections(ctx, inv)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(slices.Clone(connections), func(c mptcp.Connection) bool { return !expr.Connection(&c) })
	switch {
	case len(found) == 0:
		return nil, fmt.Errorf("%s: no connection matches %q: %s", inv.Path, expr.String(), nearest(connections))
	case len(found) > 1 && !all:
		return nil, fmt.Errorf(
			"%s: %d connections match %q, want one: %s", inv.Path, len(found), expr.String(),
			connectionNames(found),
		)
	}
	return found, nil
}

// connectionNames lists connections so that one can be chosen.
func connectionNames(connections []mptcp.Connection) string {
	const most = 8
	var parts []string
	for i, c := range connections {
		if i == most {
			parts = append(parts, fmt.Sprintf("and %d more", len(connections)-most))
			break
		}
		parts = append(parts, fmt.Sprintf("%v (%v, %v > %v)", c.Token, c.Side, c.Local, c.Remote))
	}
	return strings.Join(parts, ", ")
}

// because says what is wrong with a filter, or without an error how one looks.
func because(inv *grammar.Invocation, wrong error) string {
	if wrong == nil {
		return " that matches one connection, such as 'dst :443'"
	}
	return ": " + strings.TrimPrefix(line.FilterText(inv, wrong), "filter: ")
}
