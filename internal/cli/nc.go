package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/netcat"
)

func (a *app) ncCommand() grammar.Command {
	return grammar.Command{
		Name:    "nc",
		Summary: "netcat on MPTCP sockets",
		Synopsis: []string{
			"[ -46Nnv ] [ -p PORT ] [ -s ADDRESS ] [ -w SECONDS ] HOST PORT",
			"-l [ -46knv ] [ -p PORT ] [ HOST ] [ PORT ]",
		},
		Help:      ncHelp,
		Privilege: "none; ports below 1024 need what they need for any program",
		Flags: []grammar.Flag{
			{Name: "listen", Letter: 'l', Summary: "act as the server"},
			{Name: "keep-open", Letter: 'k', Summary: "with -l: accept further clients, many at once"},
			{Name: "port", Letter: 'p', Value: grammar.Port, Metavar: "PORT", Summary: "the local port"},
			{Name: "source", Letter: 's', Value: grammar.Address, Metavar: "ADDRESS", Summary: "the local address"},
			{Name: "verbose", Letter: 'v', Summary: "report on stderr what is connected, and whether it uses MPTCP"},
			{
				Name:    "wait",
				Letter:  'w',
				Value:   grammar.Number,
				Metavar: "SECONDS",
				Summary: "give up connecting, and idle connections, after this time",
			},
			{
				Name:    "shutdown",
				Letter:  'N',
				Summary: "shut down the sending side at the end of the input, even if nothing was sent",
			},
			{Name: "numeric", Letter: 'n', Summary: "the host is an address, not a name"},
			{Name: "ipv4", Letter: '4', Summary: "IPv4 only"},
			{Name: "ipv6", Letter: '6', Summary: "IPv6 only"},
		},
		Operand: grammar.Host,
		Examples: []grammar.Example{
			{Line: "nc -l -k -p 12345", Meaning: "a server that keeps listening"},
			{Line: "nc -v 192.0.2.1 12345", Meaning: "a client that reports whether MPTCP is used"},
			{Line: "nc -w 5 2001:db8::1 443 < request", Meaning: "send a file and print the answer"},
		},
		Run: a.nc,
	}
}

func (a *app) nc(ctx context.Context, inv *grammar.Invocation) error {
	o, err := ncOptions(inv)
	if err != nil {
		return err
	}
	stderr := io.Discard
	if o.Verbose {
		stderr = inv.Stderr
	}
	if err := netcat.Run(ctx, o, inv.Stdin, inv.Stdout, stderr); err != nil {
		return fmt.Errorf("nc: %w", err)
	}
	return nil
}

// ncOptions reads the flags and operands in netcat-openbsd's manner: a listener
// takes its port from -p or as the last operand.
func ncOptions(inv *grammar.Invocation) (netcat.Options, error) {
	o := netcat.Options{
		Listen: inv.Has("listen"), KeepOpen: inv.Has("keep-open"), ShutdownOnEOF: inv.Has("shutdown"),
		Numeric: inv.Has("numeric"), Verbose: inv.Has("verbose"),
	}
	o.Source, _ = inv.Value("source")
	v4, v6 := inv.Has("ipv4") || inv.Options.IPv4, inv.Has("ipv6") || inv.Options.IPv6
	switch {
	case v4 && !v6:
		o.Family = netcat.IPv4
	case v6 && !v4:
		o.Family = netcat.IPv6
	}
	seconds, err := inv.Int("wait", 1, 1<<20, 0)
	if err != nil {
		return o, err
	}
	o.Timeout = time.Duration(seconds) * time.Second
	if o.KeepOpen && !o.Listen {
		return o, inv.Usage("-k needs -l")
	}
	if o.Listen {
		return o, ncListenOperands(inv, &o)
	}
	return o, ncClientOperands(inv, &o)
}

func ncListenOperands(inv *grammar.Invocation, o *netcat.Options) error {
	args := inv.Args
	port, given := inv.Value("port")
	if !given {
		if len(args) == 0 {
			return inv.Usage("-l: the port is missing: nc -l -p PORT, or nc -l PORT")
		}
		port, args = args[len(args)-1], args[:len(args)-1]
	}
	o.Port = port
	switch {
	case len(args) > 1:
		return inv.Usage(strconv.Quote(args[1]) + ": want one address and one port to listen on")
	case len(args) == 1:
		o.Host = args[0]
	case o.Source != "":
		o.Host = o.Source
	}
	return nil
}

func ncClientOperands(inv *grammar.Invocation, o *netcat.Options) error {
	if len(inv.Args) != 2 {
		return inv.Usage("want HOST PORT, or -l PORT to listen")
	}
	o.Host, o.Port = inv.Args[0], inv.Args[1]
	port, err := inv.Int("port", 1, 65535, 0)
	o.SourcePort = uint16(port)
	return err
}
