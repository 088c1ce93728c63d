package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/probe"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
)

// mostPaths bounds from how many further addresses probe connects. With the two
// connects from the address that the kernel chooses, and plain TCP where MPTCP
// failed, it makes no more than eight connections.
const mostPaths = 3

func (a *app) probeCommand() grammar.Command {
	return grammar.Command{
		Name:     "probe",
		Summary:  "connect to a server, and tell whether MPTCP works and where it fails",
		Synopsis: []string{"[ -w SECONDS ] [ --no-data ] [ --with-endpoints ] HOST PORT"},
		Help: "Connects over MPTCP and over plain TCP, then over MPTCP from each other usable address of this host, and tells whether MPTCP was negotiated or why not, " +
			"and for each endpoint whether a join comes up on the first connection. It needs no cooperation of the server.\n\n" +
			"It makes at most eight connections, one after the other, and closes them at once. A join can only start after data went both ways: " +
			"one line break is sent for that, unless --no-data is given.\n\n" +
			"Nothing is changed, but with --with-endpoints: then addresses without an endpoint get one for the time of the probe (CAP_NET_ADMIN).\n\n" +
			"The exit code is 0 where MPTCP was negotiated and every endpoint joined, else 1.",
		Privilege: "none; --with-endpoints: CAP_NET_ADMIN",
		Operand:   grammar.Host,
		Flags: []grammar.Flag{
			{Name: "wait", Letter: 'w', Value: grammar.Number, Metavar: "SECONDS", Summary: "how long to wait for each connection (default 5)"},
			{Name: "no-data", Summary: "send nothing: joins cannot start then"},
			{Name: "with-endpoints", Summary: "give the other addresses an endpoint for the time of the probe"},
		},
		Examples: []grammar.Example{
			{Line: "probe example.com 443", Meaning: "does this server speak MPTCP, on all my paths?"},
			{Line: "-j probe -w 2 192.0.2.1 80", Meaning: "the same as JSON, with less patience"},
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
		return inv.Usage(fmt.Sprintf("port %q: want a number from 1 to 65535, or a service of /etc/services", inv.Args[1]))
	}
	seconds, err := inv.Int("wait", 1, 300, 5)
	if err != nil {
		return err
	}
	to, err := resolve(ctx, inv, inv.Args[0])
	if err != nil {
		return err
	}
	host, err := source.Dial(nil)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer host.Close()
	p := &prober{
		host: host, patience: time.Duration(seconds) * time.Second, silent: inv.Has("no-data"), progress: probeProgress(inv),
		out: present.Probe{Host: inv.Args[0], Address: netip.AddrPortFrom(to, uint16(port)), Attempts: []present.ProbeAttempt{}, Joins: []present.ProbeJoin{}},
	}
	if inv.Has("with-endpoints") {
		remove, err := a.lendEndpoints(ctx, host, to)
		defer remove()
		if err != nil {
			return fmt.Errorf("probe: %w", err)
		}
	}
	err = p.run(ctx)
	p.progress("")
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if inv.Options.JSON {
		err = present.JSON(inv.Stdout, &p.out, inv.Options.Pretty)
	} else {
		err = doctorText(inv).Probe(inv.Stdout, &p.out)
	}
	if err == nil && !p.fine() {
		return exitStatus(codeFailed)
	}
	return err
}

// probeProgress returns what shows what is being tried, where somebody looks on.
// An empty text takes it away again.
func probeProgress(inv *grammar.Invocation) func(text string) {
	if !isTerminal(inv.Stderr) {
		return func(string) {}
	}
	return func(text string) { fmt.Fprint(inv.Stderr, "\r\x1b[K", text) }
}

// trying says what a connection is tried with.
func trying(r probe.Request) string {
	text := "trying MPTCP"
	if r.TCP {
		text = "trying TCP"
	}
	if r.From.IsValid() {
		text += " from " + r.From.String()
	}
	return text + " ..."
}

// prober is one run of probe.
type prober struct {
	host     *source.Host
	patience time.Duration
	silent   bool
	progress func(text string)
	out      present.Probe
	facts    []doctor.Probe
}

// fine reports whether all that was tried works.
func (p *prober) fine() bool {
	for _, j := range p.out.Joins {
		if j.State != joinUp {
			return false
		}
	}
	return p.out.Verdict == string(probe.MPTCP)
}

func (p *prober) run(ctx context.Context) error {
	before, err := p.host.MPTCPCounters()
	if err != nil {
		return err
	}
	first := p.connect(ctx, probe.Request{To: p.out.Address})
	defer first.Close()
	after, err := p.host.MPTCPCounters()
	if err != nil {
		return err
	}
	plain := p.connect(ctx, probe.Request{To: p.out.Address, TCP: true})
	plain.Close()
	p.judge(first, plain, after.Since(before).Moved().Select(func(name string) bool { return !counters.IsGauge(name) }))
	report, err := p.host.Paths(ctx, p.out.Address.Addr())
	if err != nil {
		return err
	}
	if plain.Err == nil || first.Err == nil {
		p.others(ctx, report.Paths)
	}
	if first.Err == nil && first.Spoken == probe.MPTCP {
		return p.joins(ctx, first)
	}
	return ctx.Err()
}

// connect makes one connection and notes what came of it.
func (p *prober) connect(ctx context.Context, r probe.Request) *probe.Conn {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	p.progress(trying(r))
	c := probe.Connect(ctx, r)
	note := present.ProbeAttempt{From: r.From, Device: r.Device, MPTCP: !r.TCP, Spoken: string(c.Spoken), Took: c.Took}
	fact := doctor.Probe{Local: c.Local, Remote: r.To, MPTCP: !r.TCP, Fallback: c.Spoken == probe.Fallback}
	if c.Err != nil {
		note.Error = c.Err.Error()
		if errno, ok := errors.AsType[syscall.Errno](c.Err); ok {
			fact.Error = errno
		}
	} else {
		note.Local = c.Local.String()
	}
	p.out.Attempts, p.facts = append(p.out.Attempts, note), append(p.facts, fact)
	return c
}

// judge says what the first connection tells.
func (p *prober) judge(first, plain *probe.Conn, moved counters.Values) {
	o := &p.out
	o.Counters = map[string]uint64{}
	for name, n := range moved.All() {
		o.Counters[name] = n
	}
	o.Verdict = "failed"
	switch {
	case first.Err == nil:
		o.Verdict = string(first.Spoken)
		if first.Spoken == probe.Fallback {
			cause := doctor.FallbackCause(doctor.StageHandshake, mptcp.SideClient, moved)
			o.Rule, o.Reason = cause.Rule, cause.Text
			if cause.Rule == "D05" {
				o.Notes = append(o.Notes, "whether the server's program opens a TCP socket or something on the way removes the option cannot be told from here (D07)")
			}
		}
	case errors.Is(first.Err, syscall.ENOPROTOOPT):
		o.Rule, o.Reason = "D02", "MPTCP is switched off here: sysctl -w net.mptcp.enabled=1"
	case errors.Is(first.Err, syscall.EACCES), errors.Is(first.Err, syscall.EPERM):
		o.Rule, o.Reason = "D04", "a security policy forbids MPTCP sockets"
	case plain.Err != nil:
		o.Reason = "plain TCP fails too: " + plain.Err.Error()
	case errors.Is(first.Err, syscall.ECONNREFUSED):
		o.Rule, o.Reason = "D34", "a firewall on the way resets SYN with MPTCP: plain TCP connects"
	case errors.Is(first.Err, syscall.ETIMEDOUT):
		o.Rule, o.Reason = "D33", "SYN with MPTCP gets no answer: plain TCP connects"
	default:
		o.Reason = first.Err.Error()
	}
}

// others connects from the other addresses, over plain TCP only where MPTCP failed.
func (p *prober) others(ctx context.Context, paths []hostnet.Path) {
	tried, left := 0, 0
	for i := range paths {
		path := &paths[i]
		if !path.Usable || path.Initial || ctx.Err() != nil {
			continue
		}
		if tried == mostPaths {
			left++
			continue
		}
		tried++
		r := probe.Request{To: p.out.Address, From: path.Address, Device: path.Device}
		c := p.connect(ctx, r)
		c.Close()
		if c.Err != nil {
			r.TCP = true
			p.connect(ctx, r).Close()
		}
	}
	if left > 0 {
		p.out.Notes = append(p.out.Notes, present.Count(left, "path")+" not tried: a probe makes at most eight connections")
	}
}
