package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

func (a *app) connectionCloseSubflowCommand() grammar.Command {
	return grammar.Command{
		Name:      "close-subflow",
		Summary:   "end one subflow; the connection continues over the others",
		Synopsis:  []string{"CONNECTION { id LOCAL[:REMOTE] | from ADDRESS[:PORT] | to ADDRESS[:PORT] }... [ -y ]"},
		Help:      connectionCloseSubflowHelp,
		Privilege: "CAP_NET_ADMIN in the network namespace",
		Flags:     []grammar.Flag{yesFlag("do not ask for confirmation")},
		Keywords: []grammar.Keyword{
			tokenKeyword(),
			{
				Name:    "id",
				Value:   grammar.ID,
				Summary: "the subflow's address ids, as `connection` shows them: local, or local:remote",
			},
			fromKeyword("its address on this host"), toKeyword("its address at the peer"),
		},
		Operand: grammar.Token,
		Examples: []grammar.Example{
			{Line: "connection close-subflow 63c070d2 from 192.0.2.3", Meaning: "the subflow from that address"},
			{Line: "connection close-subflow 'dst :443' id 1 -y", Meaning: "without confirmation"},
		},
		Run: a.connectionCloseSubflow,
	}
}

func (a *app) connectionCloseCommand() grammar.Command {
	return grammar.Command{
		Name:      "close",
		Summary:   "end all subflows of a connection",
		Synopsis:  []string{"{ TOKEN | FILTER } [ --all ] [ -y ]"},
		Help:      connectionCloseHelp,
		Privilege: "CAP_NET_ADMIN in the network namespace",
		Flags: []grammar.Flag{
			yesFlag("do not ask for confirmation"),
			{Name: "all", Summary: "every connection that the filter matches"},
		},
		Operand: grammar.Filter,
		Examples: []grammar.Example{
			{Line: "connection close 63c070d2", Meaning: "one connection, by its token"},
			{
				Line:    "connection close dst 203.0.113.7 --all -y",
				Meaning: "all connections to an address, without confirmation",
			},
		},
		Run: a.connectionClose,
	}
}

// subflowChoice says which subflow of a connection is meant. What is not given
// holds for all.
type subflowChoice struct {
	localID, remoteID *mptcp.AddressID
	from, to          netip.AddrPort
}

// Is reports whether the subflow is as chosen.
func (c *subflowChoice) Is(s *sockdiag.Subflow) bool {
	at := func(wanted, has netip.AddrPort) bool {
		return !wanted.IsValid() ||
			wanted.Addr().Unmap() == has.Addr() && (wanted.Port() == 0 || wanted.Port() == has.Port())
	}
	return at(c.from, s.Local) && at(c.to, s.Remote) &&
		(c.localID == nil || *c.localID == s.MPTCP.LocalID) && (c.remoteID == nil || *c.remoteID == s.MPTCP.RemoteID)
}

func (a *app) connectionCloseSubflow(ctx context.Context, inv *grammar.Invocation) error {
	words := inv.Args
	if len(words) > 1 && grammar.Matches(words[0], "token") {
		words = words[1:]
	}
	if len(words) == 0 {
		return inv.Usage("the connection is missing: its token, or a filter as one word")
	}
	choice, err := parseSubflowChoice(inv, words[1:])
	if err != nil {
		return err
	}
	token, err := a.connectionToken(ctx, inv, words[0])
	if err != nil {
		return err
	}
	diag, err := sockdiag.Dial(nil)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer diag.Close()
	all, err := subflowsOf(ctx, diag, token, &subflowChoice{})
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	var chosen []sockdiag.Subflow
	for i := range all {
		if choice.Is(&all[i]) {
			chosen = append(chosen, all[i])
		}
	}
	if len(chosen) != 1 {
		return fmt.Errorf(
			"%s: %d subflows of %v match, want exactly one; it has: %s", inv.Path, len(chosen), token,
			subflowNames(all),
		)
	}
	question := fmt.Sprintf("End the subflow %s of %v?", subflowNames(chosen), token)
	if len(all) == 1 {
		question = fmt.Sprintf("End the subflow %s, the only one of %v?", subflowNames(chosen), token)
	}
	if err := confirm(ctx, inv, question); err != nil {
		return err
	}
	if err := diag.Destroy(ctx, chosen[0].Socket); err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	return writeClosed(inv, []closedConnection{{Token: token, Subflows: ends(chosen), Left: len(all) - 1}})
}

// parseSubflowChoice reads the words that choose a subflow.
func parseSubflowChoice(inv *grammar.Invocation, words []string) (*subflowChoice, error) {
	names := []string{"id", "from", "to"}
	c := &subflowChoice{}
	if len(words) == 0 {
		return nil, inv.Usage("which subflow: want id, from or to")
	}
	for ; len(words) > 0; words = words[2:] {
		i := grammar.Match(words[0], names)
		if i < 0 {
			return nil, inv.Usage(
				fmt.Sprintf(
					"unknown word %q: want id, from or to after the connection, which must be one word: a token, or "+
						"a quoted filter such as 'dst :443'",
					words[0],
				),
			)
		}
		if len(words) == 1 {
			return nil, inv.Usage(names[i] + " needs a value")
		}
		var err error
		switch names[i] {
		case "id":
			err = c.parseIDs(inv, words[1])
		case "from":
			c.from, err = pmAddress(inv, names[i], words[1])
		case "to":
			c.to, err = pmAddress(inv, names[i], words[1])
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// parseIDs reads LOCAL or LOCAL:REMOTE.
func (c *subflowChoice) parseIDs(inv *grammar.Invocation, text string) error {
	local, remote, both := strings.Cut(text, ":")
	n, ok := iproute.ParseUint(local, math.MaxUint8)
	if !ok {
		return inv.Usage(fmt.Sprintf("id %q: want numbers from 0 to 255, LOCAL or LOCAL:REMOTE", text))
	}
	c.localID = new(mptcp.AddressID(n))
	if both {
		if n, ok = iproute.ParseUint(remote, math.MaxUint8); !ok {
			return inv.Usage(fmt.Sprintf("id %q: want numbers from 0 to 255, LOCAL or LOCAL:REMOTE", text))
		}
		c.remoteID = new(mptcp.AddressID(n))
	}
	return nil
}

func (a *app) connectionClose(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) == 0 && !inv.Has("all") {
		return inv.Usage("which connection: want a token, or a filter such as 'dst :443'")
	}
	expr, err := closeFilter(inv)
	if err != nil {
		return err
	}
	connections, err := namedConnections(ctx, inv, expr, inv.Has("all"))
	if err != nil {
		return err
	}
	if err := confirm(ctx, inv, "End all subflows of "+connectionNames(connections)+"?"); err != nil {
		return err
	}
	diag, err := sockdiag.Dial(nil)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	defer diag.Close()
	var closed []closedConnection
	for _, c := range connections {
		one, err := endSubflows(ctx, diag, c.Token)
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
		closed = append(closed, one)
	}
	return writeClosed(inv, closed)
}

// closeFilter reads a token that stands alone, or a filter.
func closeFilter(inv *grammar.Invocation) (*filter.Expr, error) {
	if len(inv.Args) == 1 {
		if t, err := mptcp.ParseToken(inv.Args[0]); err == nil {
			return filter.Parse("token", t.String())
		}
	}
	return line.Filter(inv)
}

// closeRounds is how often close looks again for subflows that came up meanwhile.
const closeRounds = 5

// endSubflows ends all subflows of a connection, also those that come up meanwhile.
func endSubflows(ctx context.Context, diag *sockdiag.Client, token mptcp.Token) (closedConnection, error) {
	closed := closedConnection{Token: token}
	for range closeRounds {
		subflows, err := subflowsOf(ctx, diag, token, &subflowChoice{})
		if err != nil || len(subflows) == 0 {
			return closed, err
		}
		for i := range subflows {
			switch err := diag.Destroy(ctx, subflows[i].Socket); {
			case errors.Is(err, fs.ErrNotExist): // it ended by itself
			case err != nil:
				return closed, err
			default:
				closed.Subflows = append(closed.Subflows, ends(subflows[i:i+1])...)
			}
		}
	}
	left, err := subflowsOf(ctx, diag, token, &subflowChoice{})
	closed.Left = len(left)
	return closed, err
}

// subflowsOf lists the subflows of a connection that are as chosen. Those that have
// been closed already are left out. Where no connection shows one it is an error if the
// kernel keeps them back.
func subflowsOf(
	ctx context.Context, diag *sockdiag.Client, token mptcp.Token, choice *subflowChoice,
) ([]sockdiag.Subflow, error) {
	var found []sockdiag.Subflow
	seen := false
	for s, err := range diag.Subflows(ctx, nil) {
		if err != nil {
			return nil, err
		}
		seen = true
		if s.HasMPTCP && s.MPTCP.TokenLocal == token && s.State != mptcp.StateClosed && choice.Is(&s) {
			found = append(found, s)
		}
	}
	if !seen {
		return nil, diag.CheckSubflows(ctx)
	}
	return found, nil
}

// subflowNames lists subflows so that one can be chosen.
func subflowNames(subflows []sockdiag.Subflow) string {
	if len(subflows) == 0 {
		return "none"
	}
	var parts []string
	for _, s := range subflows {
		parts = append(parts, fmt.Sprintf("%v > %v (id %d:%d)", s.Local, s.Remote, s.MPTCP.LocalID, s.MPTCP.RemoteID))
	}
	return strings.Join(parts, ", ")
}

// closedConnection is what became of one connection.
type closedConnection struct {
	Token    mptcp.Token  `json:"token"`
	Subflows []subflowEnd `json:"closed"`
	Left     int          `json:"left"`
}

type subflowEnd struct {
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
}

func ends(subflows []sockdiag.Subflow) []subflowEnd {
	var all []subflowEnd
	for _, s := range subflows {
		all = append(all, subflowEnd{s.Local, s.Remote})
	}
	return all
}

// writeClosed tells what was closed, and what the kernel keeps.
func writeClosed(inv *grammar.Invocation, closed []closedConnection) error {
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, closed, inv.Options.Pretty)
	}
	lingers := false
	for _, c := range closed {
		for _, s := range c.Subflows {
			fmt.Fprintf(inv.Stdout, "%v: ended %v > %v\n", c.Token, s.Local, s.Remote)
		}
		if c.Left > 0 {
			fmt.Fprintf(inv.Stdout, "%v: subflows left: %d\n", c.Token, c.Left)
		}
		lingers = lingers || c.Left == 0
	}
	if !lingers {
		return nil
	}
	_, err := fmt.Fprintf(inv.Stdout, "The kernel cannot end the connection itself: %s\n", lingering())
	return err
}

// lingering tells how long the kernel keeps a connection without subflows.
func lingering() string {
	if settings, err := counters.New("").Sysctls(); err == nil && settings.CloseTimeout != nil {
		return fmt.Sprintf(
			"it stays without a subflow for up to %v (net.mptcp.close_timeout); its program notices the end only then",
			*settings.CloseTimeout,
		)
	}
	return "this kernel ends it when the last subflow is gone (no net.mptcp.close_timeout)"
}
