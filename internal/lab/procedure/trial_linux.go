package procedure

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"mptcpctl/internal/kernel"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/scenario"
)

// trialPatience is how long a trial waits for any one thing. The kernel makes joins in
// a work queue of the whole machine, which others may keep busy for long.
const trialPatience = 90 * time.Second

// Trial is a scenario that has been brought about: its network stands, its
// connections are open, and its symptoms show.
type Trial struct {
	Scenario scenario.Scenario
	Lab      *lab.Lab
	Deeds    []Deed        // what was done, in order
	Took     time.Duration // until the symptoms showed

	tool     []string
	watch    func(*lab.Lab) error
	talk     *talk
	cancel   context.CancelFunc
	programs []*lab.Process
	dir      string // of temporary files, "" for none
}

// Deed is one thing that was done to a host, as a user would type or say it.
type Deed struct{ Host, Text string }

// Start brings a scenario about: it builds the network, gives the hosts their
// limits and endpoints with the tool's own commands, starts the traffic, applies
// the faults, and waits until the symptoms show. tool is the command of the tool
// with its leading arguments, such as {"/proc/self/exe"}. The traffic goes on until
// ctx ends or the trial is closed.
//
// The error is a [*MissingError] where the system cannot do what it takes.
func Start(ctx context.Context, s scenario.Scenario, tool []string) (*Trial, error) {
	return StartWatched(ctx, s, tool, func(*lab.Lab) error { return nil })
}

// StartWatched does what Start does, and calls watch when the hosts have their limits
// and endpoints, before anything else happens: for an observer who is to see all of
// it.
func StartWatched(ctx context.Context, s scenario.Scenario, tool []string, watch func(*lab.Lab) error) (*Trial, error) {
	began := time.Now()
	l, err := lab.Build(ctx, s.Topology)
	if err != nil {
		return nil, err
	}
	if err := fits(&s, l); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	t := &Trial{Scenario: s, Lab: l, tool: tool, watch: watch}
	ctx, t.cancel = context.WithCancel(ctx)
	t.talk = &talk{ctx: ctx, lab: l, traffic: s.Traffic}
	if err := t.bringAbout(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("scenario %s: %w", s.Name, err), t.Close())
	}
	t.Took = time.Since(began)
	return t, nil
}

// fits returns a [*MissingError] where this kernel cannot show what the scenario is of.
func fits(s *scenario.Scenario, l *lab.Lab) error {
	old, err := s.Since.IsAhead()
	if err != nil {
		return err
	}
	if old {
		return &lab.MissingError{
			What: "Linux " + s.Since.String(),
			Why:  "before, what is shown here is no fault; this is " + kernel.Release(),
		}
	}
	if s.Needs == "" {
		return nil
	}
	_, known, err := l.Host(s.Host).Counter(s.Needs)
	if err == nil && !known {
		err = &lab.MissingError{
			What: "the counter " + s.Needs,
			Why:  "without it the kernel " + kernel.Release() + " tells nothing of what is wrong",
		}
	}
	return err
}

// Host returns the host where doctor is to look.
func (t *Trial) Host() *lab.Host { return t.Lab.Host(t.Scenario.Host) }

// Conns returns the connections that the client holds open. Those that could not
// be made are not among them.
func (t *Trial) Conns() []*lab.Conn { return t.talk.held }

// Connect makes one more connection as the scenario's traffic says, with a first
// exchange. The caller closes it.
func (t *Trial) Connect() (*lab.Conn, error) {
	c, err := t.talk.connect()
	if err != nil {
		return nil, err
	}
	if err := t.talk.exchange(c, t.talk.bytes()); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the traffic and lets go of the network. It may be called more than
// once.
func (t *Trial) Close() error {
	t.cancel()
	errs := []error{t.talk.close()}
	for _, p := range t.programs {
		errs = append(errs, p.Close())
	}
	if t.dir != "" {
		errs = append(errs, os.RemoveAll(t.dir))
	}
	return errors.Join(append(errs, t.Lab.Close())...)
}

func (t *Trial) bringAbout(ctx context.Context) error {
	for _, spec := range t.Scenario.Topology.Hosts {
		for _, args := range spec.Commands() {
			if err := t.command(ctx, spec.Name, args); err != nil {
				return err
			}
		}
	}
	for _, step := range []func(context.Context) error{
		func(context.Context) error { return t.watch(t.Lab) }, t.startPrograms,
		func(ctx context.Context) error { return t.apply(ctx, scenario.BeforeTraffic) }, t.talk.start,
		func(ctx context.Context) error { return t.await(ctx, t.Scenario.Ready) },
		func(ctx context.Context) error { return t.apply(ctx, scenario.Established) },
		func(ctx context.Context) error { return t.await(ctx, t.Scenario.Shows) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// command runs a command of the tool in the host.
func (t *Trial) command(ctx context.Context, host string, args []string) error {
	t.Deeds = append(t.Deeds, Deed{host, "mptcpctl " + strings.Join(args, " ")})
	lines, code, err := t.Lab.Host(host).RunProcess(ctx, lab.ToolConfig(t.tool, args...))
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
		if len(lines) > 0 {
			err = fmt.Errorf("%w: %s", err, lines[len(lines)-1].Text)
		}
	}
	if err != nil {
		return fmt.Errorf("%s on %s: %w", strings.Join(args, " "), host, err)
	}
	return nil
}

// apply does what is due at that moment.
func (t *Trial) apply(ctx context.Context, moment scenario.Moment) error {
	for _, f := range t.Scenario.Faults {
		if f.When != moment {
			continue
		}
		if len(f.Command) > 0 {
			if err := t.command(ctx, f.Host, f.Command); err != nil {
				return err
			}
			continue
		}
		t.Deeds = append(t.Deeds, Deed{f.Host, f.String()})
		if err := t.harm(ctx, f); err != nil {
			return fmt.Errorf("%s on %s: %w", f, f.Host, err)
		}
	}
	return nil
}

// harm applies a fault that is no command of the tool.
func (t *Trial) harm(ctx context.Context, f scenario.Fault) error {
	host := t.Lab.Host(f.Host)
	switch {
	case f.LinkDown != "":
		return host.LinkDown(f.LinkDown)
	case f.RemoveLink != "":
		return host.RemoveLink(f.RemoveLink)
	case f.RemoveAddress.IsValid():
		return host.RemoveAddress(f.Device, f.RemoveAddress)
	case f.FillEndpoints:
		return t.fillEndpoints(ctx, host, f.Device)
	case f.CloseListener:
		return t.talk.server.CloseListener()
	}
	return host.SetFirewall(f.Firewall...)
}

// maxEndpoints is how many endpoints a namespace of any kernel so far can have.
const maxEndpoints = 255

// fillEndpoints adds endpoints with addresses of the device until the kernel takes
// no more.
func (t *Trial) fillEndpoints(ctx context.Context, host *lab.Host, device string) error {
	first := netip.MustParseAddr("10.9.0.1")
	for a, n := first, 0; n <= maxEndpoints; a, n = a.Next(), n+1 {
		if err := host.AddAddress(device, netip.PrefixFrom(a, a.BitLen())); err != nil {
			return err
		}
		_, code, err := host.RunProcess(ctx, lab.ToolConfig(t.tool, scenario.SignalOn(a.String()).Command()...))
		switch {
		case err != nil:
			return err
		case code != 0 && n > 0:
			return nil
		case code != 0:
			return fmt.Errorf("the first endpoint: exit status %d", code)
		}
	}
	return fmt.Errorf("the kernel takes more than %d endpoints", maxEndpoints)
}

// settled is how long the absence of subflows must last to count: a join is made
// within a round trip, or not at all.
const settled = 100 * time.Millisecond

// await polls until all of the symptoms show.
func (t *Trial) await(ctx context.Context, symptoms []scenario.Symptom) error {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	for _, s := range symptoms {
		if err := t.awaitOne(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

func (t *Trial) awaitOne(ctx context.Context, s scenario.Symptom) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var since time.Time // when it began to show
	for {
		shows, seen, err := t.shows(s)
		switch {
		case err != nil:
			return err
		case !shows:
			since = time.Time{}
		case s.Kind != scenario.Subflows || s.Count > 0:
			return nil
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= settled:
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("does not show; seen: %s: %w", seen, ctx.Err())
		}
	}
}
