package line

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcpctl/doctor/slow"
	"mptcpctl/hostnet"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/source/look"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// LookFlag is the flag with which a command looks for a while at what limits rates.
func LookFlag() grammar.Flag {
	return grammar.Flag{
		Name: "look", Value: grammar.Duration, Metavar: "TIME",
		Summary: "look that long at what limits the rate of the busiest connections (such as 3s)",
	}
}

// LookTime returns how long --look asks to look, 0 where it was not given.
func LookTime(inv *grammar.Invocation) (time.Duration, error) {
	text, given := inv.Value("look")
	if !given {
		return 0, nil
	}
	const least, most = 2 * time.Second, 10 * time.Minute
	span, err := Span(text)
	if err != nil || span < least || span > most {
		return 0, inv.Usage(fmt.Sprintf("--look %q: want a time such as 3s, at least 2s and at most 10m", text))
	}
	if inv.Options.Replay != "" || inv.Options.AllNetns || inv.Has("from") {
		return 0, inv.Usage("--look asks the kernel again and again, in one network namespace: " +
			"it excludes -a, --replay and --from")
	}
	if inv.Has("anonymise") || inv.Has("peer") || inv.Has("facts") {
		return 0, inv.Usage("--look goes with none of --anonymise, --peer and --facts")
	}
	return span, nil
}

// Look looks at those of the connections that carry most, for that time.
func Look(ctx context.Context, connections []mptcp.Connection, span time.Duration) ([]*slow.View, error) {
	client, err := sockdiag.Dial(nil)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	host := &slow.Host{
		Devices: map[uint64]string{}, Interval: look.DefaultInterval,
		ReceiveMost: lastValue("/proc/sys/net/ipv4/tcp_rmem"), SendMost: lastValue("/proc/sys/net/ipv4/tcp_wmem"),
	}
	owners := addressOwners(ctx)
	wanted := make(map[mptcp.Token]bool, len(connections))
	for i := range connections {
		c := &connections[i]
		wanted[c.Token] = true
		host.Netns = c.Netns
		for j := range c.Subflows {
			f := &c.Subflows[j]
			host.Devices[f.Cookie] = cmp.Or(f.Device, owners[f.Local.Addr()])
		}
	}
	before := drops(ctx)
	series, err := look.Take(ctx, client, &look.Config{
		Time: span, Wanted: func(t mptcp.Token) bool { return wanted[t] },
	})
	if err != nil {
		return nil, fmt.Errorf("look at connections: %w", err)
	}
	host.Dropped = drops(ctx)
	for device, n := range host.Dropped {
		host.Dropped[device] = n - min(n, before[device])
	}
	views := make([]*slow.View, len(series))
	for i := range series {
		views[i] = slow.Digest(series[i], host)
	}
	return views, nil
}

// drops returns how many packets the queues of the devices dropped, nothing where that cannot be
// read: it is only one sign of many.
func drops(ctx context.Context) map[string]uint64 {
	reader, err := hostnet.New(nil)
	if err != nil {
		return nil
	}
	defer reader.Close()
	links, err := reader.Links(ctx)
	if err != nil {
		return nil
	}
	queues, err := reader.Queues(ctx)
	if err != nil {
		return nil
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	dropped := make(map[string]uint64, len(queues))
	for _, q := range queues {
		dropped[names[q.Index]] += uint64(q.Drops)
	}
	return dropped
}

// addressOwners returns the devices that have the addresses of this host, for subflows of which
// nobody asked the routes; nothing where that cannot be read.
func addressOwners(ctx context.Context) map[netip.Addr]string {
	reader, err := hostnet.New(nil)
	if err != nil {
		return nil
	}
	defer reader.Close()
	addresses, err := reader.Addresses(ctx)
	if err != nil {
		return nil
	}
	owners := make(map[netip.Addr]string, len(addresses))
	for _, a := range addresses {
		if name, err := net.InterfaceByIndex(a.IfIndex); err == nil {
			owners[a.Addr] = name.Name
		}
	}
	return owners
}

// Labels are what limits subflows, by their cookies. The zero value has none.
type Labels map[uint64]*mptcp.RateLimit

// ReadLabels looks at those of the connections that match, for as long as --look asks for. Without
// that flag there are no labels.
func ReadLabels(
	ctx context.Context, inv *grammar.Invocation, connections iter.Seq[*mptcp.Connection],
	match func(*mptcp.Connection) bool,
) (Labels, error) {
	span, err := LookTime(inv)
	if err != nil || span == 0 {
		return nil, err
	}
	var matching []mptcp.Connection
	for c := range connections {
		if match(c) {
			kept := *c
			kept.Subflows = slices.Clone(c.Subflows)
			matching = append(matching, kept)
		}
	}
	views, err := Look(ctx, matching, span)
	if err != nil {
		return nil, err
	}
	if err := NoVerdict(views); err != nil {
		LeftOut(inv, err)
	}
	found := Labels{}
	for _, v := range views {
		for i, l := range slow.Labels(v) {
			found[v.Flows[i].Socket.Cookie] = l
		}
	}
	return found, nil
}

// Put notes at the subflows of a connection what limits them.
func (l Labels) Put(c *mptcp.Connection) {
	if l == nil {
		return
	}
	for i := range c.Subflows {
		c.Subflows[i].Limit = l[c.Subflows[i].Cookie]
	}
}

// NoVerdict returns why the looks allow no verdict on any connection, nil where they do.
func NoVerdict(views []*slow.View) error {
	for _, v := range views {
		if v.Enough == slow.EnoughYes {
			return nil
		}
	}
	if len(views) == 0 {
		return errors.New("what limits rates cannot be told: there is no connection to look at")
	}
	return fmt.Errorf("what limits rates cannot be told: %v", views[0].Enough)
}

// lastValue returns the last number in a file of /proc/sys, 0 where there is none.
func lastValue(name string) uint64 {
	text, err := os.ReadFile(name)
	fields := strings.Fields(string(text))
	if err != nil || len(fields) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}
