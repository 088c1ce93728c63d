package look

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"mptcpctl/doctor/slow"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// Kernel is what is asked: a [sockdiag.Client].
type Kernel interface {
	EachConnection(ctx context.Context, r *sockdiag.Request) iter.Seq2[*sockdiag.Connection, error]
	EachSubflow(ctx context.Context, r *sockdiag.Request) iter.Seq2[*sockdiag.Subflow, error]
	ConnectionDetails(ctx context.Context, tokens []mptcp.Token) iter.Seq2[sockdiag.ConnectionDetail, error]
	SubflowDetails(ctx context.Context, sockets []sockdiag.Socket) iter.Seq2[sockdiag.SubflowDetail, error]
}

// Config says how to look. The zero value of a field stands for its default.
type Config struct {
	Time     time.Duration                              // from the first look to the last; default 3 s
	Interval time.Duration                              // between looks; default 200 ms
	Most     int                                        // connections: those that carry most; default 16
	Wanted   func(mptcp.Token) bool                     // which connections; nil: all
	Sleep    func(context.Context, time.Duration) error // default: the clock's
}

// The defaults of Config.
const (
	DefaultTime     = 3 * time.Second
	DefaultInterval = 200 * time.Millisecond
	DefaultMost     = 16
)

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Config) complete() Config {
	full := Config{Time: DefaultTime, Interval: DefaultInterval, Most: DefaultMost, Sleep: sleep}
	if c == nil {
		return full
	}
	full.Wanted = c.Wanted
	full.Time, full.Interval = cmp.Or(c.Time, full.Time), cmp.Or(c.Interval, full.Interval)
	full.Most = cmp.Or(c.Most, full.Most)
	if c.Sleep != nil {
		full.Sleep = c.Sleep
	}
	return full
}

// Take looks at the connections that carry most, and returns the looks at each, oldest first,
// those at the busiest connection first. c may be nil.
func Take(ctx context.Context, k Kernel, c *Config) ([][]slow.Look, error) {
	config := c.complete()
	tokens, err := busiest(ctx, k, &config)
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	sockets, err := socketsOf(ctx, k, tokens)
	if err != nil {
		return nil, err
	}
	series := make([][]slow.Look, len(tokens))
	begin := time.Now()
	for n := 0; ; n++ {
		if err := once(ctx, k, tokens, sockets, series); err != nil {
			return nil, err
		}
		if time.Duration(n+1)*config.Interval > config.Time {
			break
		}
		next := time.Duration(n+1) * config.Interval
		if err := config.Sleep(ctx, max(0, next-time.Since(begin))); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(series, func(s []slow.Look) bool { return len(s) == 0 }), nil
}

// once takes one look at each connection that is still there.
func once(
	ctx context.Context, k Kernel, tokens []mptcp.Token, sockets []sockdiag.Socket, series [][]slow.Look,
) error {
	place := make(map[mptcp.Token]int, len(tokens))
	for i, t := range tokens {
		place[t] = i
	}
	looked := make(map[mptcp.Token]*slow.Look, len(tokens))
	for d, err := range k.ConnectionDetails(ctx, tokens) {
		if err != nil {
			return err
		}
		looked[d.Info.Token] = &slow.Look{Time: time.Now(), Connection: d}
	}
	for d, err := range k.SubflowDetails(ctx, sockets) {
		if err != nil {
			return err
		}
		if l := looked[d.MPTCP.TokenLocal]; l != nil {
			l.Subflows = append(l.Subflows, d)
		}
	}
	for token, l := range looked {
		if len(l.Subflows) > 0 {
			series[place[token]] = append(series[place[token]], *l)
		}
	}
	return nil
}

// socketsOf returns the sockets of the connections' subflows.
func socketsOf(ctx context.Context, k Kernel, tokens []mptcp.Token) ([]sockdiag.Socket, error) {
	var sockets []sockdiag.Socket
	for s, err := range k.EachSubflow(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if s.HasMPTCP && slices.Contains(tokens, s.MPTCP.TokenLocal) {
			sockets = append(sockets, s.Socket)
		}
	}
	return sockets, nil
}

// figures are what a connection carried, and whether anything waits.
type figures struct{ out, in, waits uint64 }

// busiest returns the connections that carry most, by two lists.
func busiest(ctx context.Context, k Kernel, c *Config) ([]mptcp.Token, error) {
	before, err := list(ctx, k, c)
	if err != nil || len(before) == 0 {
		return nil, err
	}
	if len(before) <= c.Most {
		return order(before, before, c.Most), nil
	}
	if err := c.Sleep(ctx, c.Interval); err != nil {
		return nil, err
	}
	now, err := list(ctx, k, c)
	return order(before, now, c.Most), err
}

func list(ctx context.Context, k Kernel, c *Config) (map[mptcp.Token]figures, error) {
	found := make(map[mptcp.Token]figures)
	for row, err := range k.EachConnection(ctx, nil) {
		if err != nil {
			return nil, err
		}
		if i := &row.Info; c.Wanted == nil || c.Wanted(i.Token) {
			found[i.Token] = figures{i.SndUna, i.RcvNxt, i.WriteSeq - i.SndUna}
		}
	}
	return found, nil
}

// order returns the connections that moved most between two lists, those before others that wait,
// and no more than most.
func order(before, now map[mptcp.Token]figures, most int) []mptcp.Token {
	moved := func(t mptcp.Token) uint64 {
		a, known := before[t]
		if !known {
			return 0
		}
		return now[t].out - a.out + now[t].in - a.in
	}
	tokens := make([]mptcp.Token, 0, len(now))
	for t := range now {
		tokens = append(tokens, t)
	}
	slices.SortFunc(tokens, func(a, b mptcp.Token) int {
		return cmp.Or(cmp.Compare(moved(b), moved(a)), cmp.Compare(now[b].waits, now[a].waits), cmp.Compare(a, b))
	})
	return tokens[:min(most, len(tokens))]
}
