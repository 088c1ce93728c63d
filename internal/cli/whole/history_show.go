package whole

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/history"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// leastPair is how many digits of a pair name a connection, at least.
const leastPair = 4

// life names a connection of one run of the observer: tokens and instances begin anew.
type life struct {
	run int
	key mptcp.Key
}

// HistoryShow tells the story of one connection.
func HistoryShow(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) != 1 {
		return inv.Usage("want one token, or the first digits of one pair")
	}
	word := strings.ToLower(inv.Args[0])
	name, token := strings.TrimPrefix(word, "0x"), mptcp.Token(0)
	if parsed, err := mptcp.ParseToken(word); err == nil {
		token = parsed
	}
	if token == 0 && (len(name) < leastPair || strings.Trim(name, "0123456789abcdef") != "") {
		return inv.Usage(
			fmt.Sprintf("%q: want a token such as 63c070d2, or at least %d digits of a pair", word, leastPair),
		)
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer r.Close()
	wanted, err := livesOf(ctx, inv, r, func(l *chronicle.Line, k mptcp.Key) bool {
		return token != 0 && k.Token == token || len(name) >= leastPair && strings.HasPrefix(l.Pair.String(), name)
	})
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		return exit.With(exit.Failed, fmt.Errorf("history: no connection with the token or pair %s was kept", word))
	}
	return tell(ctx, inv, r, wanted)
}

// eachOfAConnection calls f with each line that is about one connection.
func eachOfAConnection(
	ctx context.Context, inv *grammar.Invocation, r *history.Reader,
	f func(*chronicle.Line, life, *chronicle.Told, *chronicle.Connected) error,
) error {
	run, name := 0, ""
	for l, err := range r.Lines(ctx, history.Span{}) {
		if err != nil && !tellDamage(inv, err) {
			return fmt.Errorf("history: %w", err)
		}
		if err != nil {
			continue
		}
		var told *chronicle.Told
		var of *chronicle.Connected
		var key mptcp.Key
		switch l.Kind {
		case chronicle.KindBegin:
			if b, err := chronicle.ParseBegin(l.Object); err == nil && b.Run != name {
				run, name = run+1, b.Run
			}
			continue
		case chronicle.KindEvent:
			if told, err = chronicle.ParseEvent(l.Object); err == nil {
				key = told.Key
			}
		case chronicle.KindState, chronicle.KindConnection:
			if of, err = chronicle.ParseConnection(&l); err == nil {
				key = of.Key()
			}
		default:
			continue
		}
		if err != nil || key.Token == 0 {
			continue
		}
		if err := f(&l, life{run, key}, told, of); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// livesOf returns the connections of which a line matches.
func livesOf(
	ctx context.Context, inv *grammar.Invocation, r *history.Reader, matches func(*chronicle.Line, mptcp.Key) bool,
) (map[life]bool, error) {
	wanted := map[life]bool{}
	err := eachOfAConnection(ctx, inv, r,
		func(l *chronicle.Line, of life, _ *chronicle.Told, _ *chronicle.Connected) error {
			if matches(l, of.key) {
				wanted[of] = true
			}
			return nil
		})
	return wanted, err
}

// tell prints the lines of the connections, and what each looked like at last.
func tell(ctx context.Context, inv *grammar.Invocation, r *history.Reader, wanted map[life]bool) error {
	p := newPrinter(inv, nil)
	last := map[life]*chronicle.Connected{}
	err := eachOfAConnection(ctx, inv, r,
		func(l *chronicle.Line, of life, told *chronicle.Told, c *chronicle.Connected) error {
			switch {
			case !wanted[of]:
				return nil
			case inv.Options.JSON:
				p.text = appendRaw(p.text, l)
			case told != nil:
				p.device = told.Device
				p.text = p.events.AppendDelta(p.text, &told.Delta)
			case c.Change == chronicle.Ended:
				p.text = appendEnded(p.text, &p.events.Colors, l, c)
			case c.Change != "":
				p.text = appendHead(p.text, l.Time, present.Escape(strings.ToUpper(string(c.Change))))
				p.text = c.Connection.Token.Append(append(p.text, " token="...))
				p.text = fmt.Appendf(p.text, " subflows=%d\n", len(c.Connection.Subflows))
			}
			if c != nil {
				last[of] = c
				if c.Change == chronicle.Ended && !inv.Options.JSON {
					p.text = appendLast(p.text, inv, c)
					delete(last, of)
				}
			}
			return p.flush()
		})
	if err != nil || inv.Options.JSON {
		return errors.Join(err, p.flush())
	}
	for of := range wanted {
		if c := last[of]; c != nil {
			p.text = append(p.text, "as it was seen last:\n"...)
			p.text = appendLast(p.text, inv, c)
		}
	}
	return p.flush()
}

// appendLast appends the connection as a tree, with the subflows that ended before it.
func appendLast(b []byte, inv *grammar.Invocation, c *chronicle.Connected) []byte {
	text := present.ConnectionText{Colors: line.Palette(inv), ASCII: line.ASCIIOnly(), Details: inv.Options.Details}
	whole := c.Connection
	whole.Subflows = append(append([]mptcp.Subflow(nil), c.Closed...), whole.Subflows...)
	return text.Append(b, &whole)
}
