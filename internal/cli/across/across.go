package across

import (
	"context"
	"errors"
	"fmt"

	"mptcpctl/doctor"
	"mptcpctl/doctor/bothends"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/peer"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/gather"
)

// Flags are those about other hosts.
func Flags() []grammar.Flag {
	return []grammar.Flag{
		{
			Name: "peer", Value: grammar.File, Metavar: "PEER",
			Summary: "judge another host as well, and both together: a bundle or a recording taken " +
				"there, or ssh:[USER@]HOST[:PORT]; may be given several times",
		},
		{Name: "copy", Summary: "bring this program along to a PEER of ssh, and leave nothing of it there"},
		{
			Name: "facts", Value: grammar.Word, Metavar: "clock", Choices: []string{"clock"}, Optional: true,
			Summary: "print the facts as JSON instead of judging them; with =clock as another host asks for them " +
				"by ssh",
		},
	}
}

// Check reports flags that do not go together.
func Check(inv *grammar.Invocation) error {
	switch {
	case inv.Has("peer") && inv.Has("watch"):
		return inv.Usage("--watch does not go with --peer")
	case inv.Has("peer") && inv.Has("bundle"):
		return inv.Usage("--bundle has this host alone: take one on each host, and give the other as --peer")
	case inv.Has("copy") && !inv.Has("peer"):
		return inv.Usage("--copy is about a --peer")
	case inv.Has("facts") && (inv.Has("peer") || inv.Has("watch") || inv.Has("bundle")):
		return inv.Usage("--facts goes with none of --peer, --watch and --bundle")
	}
	if how, ok := inv.Value("facts"); ok && how != "" && how != "clock" {
		return inv.Usage(fmt.Sprintf("--facts=%s: want --facts or --facts=clock", how))
	}
	return nil
}

// Facts writes the facts of this host.
func Facts(ctx context.Context, inv *grammar.Invocation, c *gather.Config) error {
	read := func() ([]doctor.Facts, error) {
		facts, _, err := line.Facts(ctx, inv, c)
		if err == nil && inv.Has("anonymise") {
			err = bundle.Hide(facts)
		}
		return facts, err
	}
	if how, _ := inv.Value("facts"); how == "clock" {
		return peer.Answer(inv.Stdout, inv.Stdin, read)
	}
	facts, err := read()
	if err != nil {
		return fmt.Errorf("doctor: %w", err)
	}
	return present.JSON(inv.Stdout, facts, inv.Options.Pretty)
}

// Peers are the hosts of --peer, which are being asked.
type Peers struct{ answers *peer.Answers }

// Ask begins to ask the hosts of --peer, and returns when all have begun to gather. It returns
// nil where there is none.
func Ask(ctx context.Context, inv *grammar.Invocation, c *gather.Config) (*Peers, error) {
	if !inv.Has("peer") {
		return nil, nil
	}
	answers, err := peer.Ask(ctx, inv.Values("peer"), &peer.Config{
		Window: c.Window, Copy: inv.Has("copy"), Warn: func(err error) { line.LeftOut(inv, err) },
	})
	if err != nil {
		return nil, err
	}
	answers.Begun()
	return &Peers{answers}, nil
}

// Judge writes what is found on this host and those that answered, and returns the verdict.
func (p *Peers) Judge(
	inv *grammar.Invocation, text *present.DoctorText, facts []doctor.Facts,
) (doctor.Verdict, error) {
	r, err := p.Report(inv, facts)
	if err != nil {
		return doctor.Unknown, err
	}
	if inv.Options.JSON {
		return r.Verdict, present.JSON(inv.Stdout, present.BothEndsJSON(r), inv.Options.Pretty)
	}
	return r.Verdict, text.BothEnds(inv.Stdout, r)
}

// Report judges the facts of this host and of those that answered. Of the others it warns; the
// error is that of all where none answered.
func (p *Peers) Report(inv *grammar.Invocation, facts []doctor.Facts) (*bothends.Report, error) {
	hosts, failed := p.answers.Hosts()
	if len(hosts) == 0 {
		return nil, errors.Join(failed...)
	}
	for _, err := range failed {
		line.LeftOut(inv, err)
	}
	here := "this host"
	if from, ok := inv.Value("from"); ok {
		here = from
	} else if inv.Options.Replay != "" {
		here = inv.Options.Replay
	}
	hosts = append([]bothends.Host{{Name: here, Facts: facts}}, hosts...)
	if inv.Has("anonymise") {
		if err := hide(hosts); err != nil {
			return nil, err
		}
	}
	report := bothends.Diagnose(hosts...)
	return &report, nil
}

// hide hides addresses and names of all hosts, those that are the same by the same ones.
func hide(hosts []bothends.Host) error {
	var all []doctor.Facts
	for _, h := range hosts {
		all = append(all, h.Facts...)
	}
	if err := bundle.Hide(all); err != nil {
		return err
	}
	for i := range hosts {
		n := len(hosts[i].Facts)
		hosts[i].Facts, all = all[:n:n], all[n:]
		if i > 0 {
			hosts[i].Name = fmt.Sprintf("host%d", i+1)
		}
	}
	return nil
}

// Rules are all causes that doctor knows, on one host and on several.
func Rules() []rule.Rule { return append(rule.All(), bothends.All()...) }

// Explain returns the text about a cause.
func Explain(id rule.ID) (rule.Rule, bool) {
	if r, ok := bothends.Explain(id); ok {
		return r, true
	}
	return rule.Explain(id)
}
