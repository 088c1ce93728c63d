package cli

import (
	"context"
	"slices"
	"strings"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
)

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
		facts, err := line.Open(ctx, inv)
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
