package cli

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/probe"
	"mptcpctl/internal/source/live"
)

func (a *app) probeCommand() grammar.Command {
	return grammar.Command{
		Name:      "probe",
		Summary:   "connect to a server and report whether MPTCP works, and where it fails",
		Synopsis:  []string{"[ -w SECONDS ] [ --no-data ] [ --with-endpoints ] HOST PORT"},
		Help:      probeHelp,
		Privilege: "none; --with-endpoints: CAP_NET_ADMIN",
		Operand:   grammar.Host,
		Flags: []grammar.Flag{
			{
				Name:    "wait",
				Letter:  'w',
				Value:   grammar.Number,
				Metavar: "SECONDS",
				Summary: "how long to wait for each connection (default 5)",
			},
			{Name: "no-data", Summary: "send nothing: then no subflow can join"},
			{Name: "with-endpoints", Summary: "add endpoints for the other addresses while the probe runs"},
		},
		Examples: []grammar.Example{
			{Line: "probe example.com 443", Meaning: "does this server accept MPTCP, on all my paths?"},
			{Line: "-j probe -w 2 192.0.2.1 80", Meaning: "the same as JSON, with a shorter timeout"},
		},
		Run: a.probe,
	}
}

func (a *app) probe(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) != 2 {
		return inv.Usage("want HOST and PORT")
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", inv.Args[1])
	if err != nil || port <= 0 {
		return inv.Usage(
			fmt.Sprintf("port %q: want a number from 1 to 65535, or a service of /etc/services", inv.Args[1]),
		)
	}
	seconds, err := inv.Int("wait", 1, 300, 5)
	if err != nil {
		return err
	}
	to, err := line.Resolve(ctx, inv, inv.Args[0])
	if err != nil {
		return err
	}
	host, err := live.Dial(nil)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer host.Close()
	p := &probe.Prober{
		Host:     host,
		Patience: time.Duration(seconds) * time.Second,
		Silent:   inv.Has("no-data"),
		Progress: probeProgress(inv),
		Out: present.Probe{
			Host:     inv.Args[0],
			Address:  netip.AddrPortFrom(to, uint16(port)),
			Attempts: []present.ProbeAttempt{},
			Joins:    []present.ProbeJoin{},
		},
	}
	if inv.Has("with-endpoints") {
		remove, err := a.lendEndpoints(ctx, host, to)
		defer remove()
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
	}
	err = p.Run(ctx)
	p.Progress("")
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if inv.Options.JSON {
		err = present.JSON(inv.Stdout, &p.Out, inv.Options.Pretty)
	} else {
		err = doctorText(inv).Probe(inv.Stdout, &p.Out)
	}
	if err == nil && !p.Fine() {
		return exit.Status(exit.Failed)
	}
	return err
}

// probeProgress returns what shows what is being tried, where somebody looks on.
// An empty text takes it away again.
func probeProgress(inv *grammar.Invocation) func(text string) {
	if !line.IsTerminal(inv.Stderr) {
		return func(string) {}
	}
	return func(text string) { fmt.Fprint(inv.Stderr, "\r\x1b[K", text) }
}

// lendEndpoints gives the usable addresses an endpoint for the time of the probe.
func (a *app) lendEndpoints(ctx context.Context, host *live.Host, to netip.Addr) (remove func(), err error) {
	pm, err := a.pathManager()
	if err != nil {
		return func() {}, err
	}
	return probe.LendEndpoints(ctx, pm, host, to, a.warn)
}
