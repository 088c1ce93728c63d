package probe

import (
	"context"
	"errors"
	"syscall"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/doctor/fallback"
	"mptcpctl/doctor/rule"
	"mptcpctl/hostnet"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
)

// mostPaths bounds from how many further addresses probe connects. With the two
// connects from the address that the kernel chooses, and plain TCP where MPTCP
// failed, it makes no more than eight connections.
const mostPaths = 3

// trying says what a connection is tried with.
func trying(r Request) string {
	text := "trying MPTCP"
	if r.TCP {
		text = "trying TCP"
	}
	if r.From.IsValid() {
		text += " from " + r.From.String()
	}
	return text + " ..."
}

// Prober tries a server: first over MPTCP and plain TCP, then over MPTCP from the other
// usable addresses of the host.
type Prober struct {
	Host     *live.Host
	Patience time.Duration     // for each connection
	Silent   bool              // nothing is sent: joins cannot start
	Progress func(text string) // tells what is being tried; an empty text takes it away

	Out   present.Probe // what is known so far; Host and Address are the caller's
	facts []doctor.Probe
}

// Fine reports whether all that was tried works.
func (p *Prober) Fine() bool {
	for _, j := range p.Out.Joins {
		if j.State != JoinUp {
			return false
		}
	}
	return p.Out.Verdict == string(MPTCP)
}

// Run tries all that there is to try. It connects at most eight times, one connection
// after the other.
func (p *Prober) Run(ctx context.Context) error {
	before, err := p.Host.MPTCPCounters()
	if err != nil {
		return err
	}
	first := p.connect(ctx, Request{To: p.Out.Address})
	defer first.Close()
	after, err := p.Host.MPTCPCounters()
	if err != nil {
		return err
	}
	plain := p.connect(ctx, Request{To: p.Out.Address, TCP: true})
	plain.Close()
	p.judge(first, plain, after.Since(before).Moved().Select(func(name string) bool { return !counters.IsGauge(name) }))
	report, err := p.Host.Paths(ctx, hostnet.LookupRequest{Dst: p.Out.Address.Addr()})
	if err != nil {
		return err
	}
	// Where the peer itself refused, it would refuse the other addresses too.
	if plain.Err == nil || first.Err == nil || !errors.Is(plain.Err, syscall.ECONNREFUSED) {
		p.others(ctx, report.Paths)
	}
	if first.Err == nil && first.Spoken == MPTCP {
		return p.joins(ctx, first)
	}
	return ctx.Err()
}

// connect makes one connection and notes what came of it.
func (p *Prober) connect(ctx context.Context, r Request) *Conn {
	ctx, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	p.Progress(trying(r))
	c := Connect(ctx, r)
	note := present.ProbeAttempt{From: r.From, Device: r.Device, MPTCP: !r.TCP, Spoken: string(c.Spoken), Took: c.Took}
	fact := doctor.Probe{Local: c.Local, Remote: r.To, MPTCP: !r.TCP, Fallback: c.Spoken == Fallback}
	if c.Err != nil {
		note.Error = c.Err.Error()
		if errno, ok := errors.AsType[syscall.Errno](c.Err); ok {
			fact.Error = errno
		}
	} else {
		note.Local = c.Local.String()
	}
	p.Out.Attempts, p.facts = append(p.Out.Attempts, note), append(p.facts, fact)
	return c
}

// judge says what the first connection tells.
func (p *Prober) judge(first, plain *Conn, moved counters.Values) {
	o := &p.Out
	o.Counters = map[string]uint64{}
	for name, n := range moved.All() {
		o.Counters[name] = n
	}
	o.Verdict = "failed"
	switch {
	case first.Err == nil:
		o.Verdict = string(first.Spoken)
		if first.Spoken == Fallback {
			cause := fallback.CauseOf(fallback.Handshake, mptcp.SideClient, moved)
			o.Rule, o.Reason = cause.Rule, cause.Text
			if cause.Rule == rule.PeerWithoutMPTCP {
				o.Notes = append(
					o.Notes,
					"this host cannot tell whether the server's program opens a TCP socket or a middlebox removes "+
						"the option (D07)",
				)
			}
		}
	case errors.Is(first.Err, syscall.ENOPROTOOPT):
		o.Rule, o.Reason = rule.SwitchedOff, "MPTCP is disabled here: sysctl -w net.mptcp.enabled=1"
	case errors.Is(first.Err, syscall.EACCES), errors.Is(first.Err, syscall.EPERM):
		o.Rule, o.Reason = rule.PolicyForbids, "a security policy forbids MPTCP sockets"
	case plain.Err != nil:
		o.Reason = "plain TCP fails too: " + plain.Err.Error()
	case errors.Is(first.Err, syscall.ECONNREFUSED):
		o.Rule, o.Reason = rule.SYNReset, "a firewall on the path resets SYN packets with MPTCP: plain TCP connects"
	case errors.Is(first.Err, syscall.ETIMEDOUT):
		o.Rule, o.Reason = rule.Blackhole, "SYN packets with MPTCP get no answer: plain TCP connects"
	default:
		o.Reason = first.Err.Error()
	}
}

// others connects from the other addresses, over plain TCP only where MPTCP failed.
func (p *Prober) others(ctx context.Context, paths []hostnet.Path) {
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
		r := Request{To: p.Out.Address, From: path.Address, Device: path.Device}
		c := p.connect(ctx, r)
		c.Close()
		if c.Err != nil {
			r.TCP = true
			p.connect(ctx, r).Close()
		}
	}
	if left > 0 {
		p.Out.Notes = append(
			p.Out.Notes, present.Count(left, "path")+" not tried: a probe makes at most eight connections",
		)
	}
}
