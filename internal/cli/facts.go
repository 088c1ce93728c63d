package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mptcpctl/internal/bundle"
	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
)

// open opens where the command's facts come from: the kernel, all its network
// namespaces with -a, or a recording with --replay.
func open(ctx context.Context, inv *grammar.Invocation) (source.Source, error) {
	switch {
	case inv.Options.Replay != "":
		recording, err := openRecording(inv)
		if err != nil {
			return nil, err // and not a nil *Recording in an interface
		}
		return recording, nil
	case inv.Options.AllNetns:
		hosts, err := source.DialAll(ctx, &source.HostsConfig{Warn: func(err error) { leftOut(inv, err) }})
		if err != nil {
			return nil, err
		}
		return hosts, nil
	}
	host, err := source.Dial(&source.Config{Enter: inv.Options.Netns})
	if err != nil {
		return nil, err
	}
	return host, nil
}

// leftOut tells of what cannot be shown.
func leftOut(inv *grammar.Invocation, err error) {
	fmt.Fprintf(inv.Stderr, "%s: warning: %s\n", inv.Program, present.Escape(err.Error()))
}

// openRecording opens the recording of --replay.
func openRecording(inv *grammar.Invocation) (*source.Recording, error) {
	opened := source.OpenRecording
	if bundle.Is(inv.Options.Replay) {
		opened = bundle.ReadRecording
	}
	recording, err := opened(inv.Options.Replay)
	if err != nil {
		return nil, fmt.Errorf("--replay: %w", err)
	}
	if recording.Truncated() {
		leftOut(inv, fmt.Errorf("%s ends in the middle of a block, as after a crash: only what came before it is shown", inv.Options.Replay))
	}
	return recording, nil
}

// liveOnly are the commands, or their verbs, for which neither --replay nor -a make
// sense: they change the kernel's state, or run programs of this host.
var liveOnly = []string{
	"endpoint add", "endpoint change", "endpoint delete", "endpoint flush", "limits set",
	"connection close", "connection close-subflow", "nc", "run", "lab", "pm", "policy", "probe",
}

// showing are those of liveOnly that show something, which is in no recording.
var showing = []string{"lab list", "pm addresses", "policy export", "policy plan", "probe"}

// checkSource refuses -a and --replay where they make no sense.
func checkSource(inv *grammar.Invocation) error {
	o := &inv.Options
	option := ""
	switch {
	case o.AllNetns && o.Netns != "":
		return inv.Usage("-a selects all network namespaces, -n one of them: use only one of these options")
	case o.Replay != "" && o.Netns != "":
		return inv.Usage("--replay shows a recording: -n does not apply")
	case o.AllNetns && o.Replay != "":
		return inv.Usage("--replay shows a recording: -a does not apply")
	case o.Replay != "":
		option = "--replay"
	case o.AllNetns:
		option = "-a"
	default:
		return nil
	}
	if inv.Path == "record" && o.Replay != "" {
		return inv.Usage("--replay does not apply: record needs a live host")
	}
	for _, path := range liveOnly {
		if inv.Path == path || strings.HasPrefix(inv.Path, path+" ") {
			switch {
			case !slices.Contains(showing, inv.Path):
				return inv.Usage(option + " is for commands that show something: this one acts on this host")
			case o.AllNetns:
				return inv.Usage("-a: this command works in one network namespace (-n)")
			}
			return inv.Usage("--replay: a recording does not contain this")
		}
	}
	return nil
}

// place is a network namespace whose path manager is shown.
type place struct {
	pathManagerView
	netns  string
	device func(index int32) string // the name of a device there
}

// showRun opens the path managers for a verb that shows, and names its errors.
func (a *app) showRun(verb func(*app, context.Context, []place, *grammar.Invocation) error) grammar.Run {
	return func(ctx context.Context, inv *grammar.Invocation) error {
		if inv.Options.Replay == "" && !inv.Options.AllNetns {
			pm, err := a.pathManager()
			if err != nil {
				return named(inv, err)
			}
			return named(inv, verb(a, ctx, []place{{pathManagerView: pm, device: device.Name}}, inv))
		}
		facts, err := open(ctx, inv)
		if err != nil {
			return named(inv, err)
		}
		defer facts.Close()
		var places []place
		for _, view := range facts.Views() {
			places = append(places, place{view, view.Netns(), view.DeviceName})
		}
		return named(inv, verb(a, ctx, places, inv))
	}
}
