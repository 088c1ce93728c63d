package line

import (
	"context"
	"fmt"
	"time"

	"mptcpctl/internal/bundle"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
)

// Open opens where the command's facts come from: the kernel, all its network
// namespaces with -a, or a recording with --replay.
func Open(ctx context.Context, inv *grammar.Invocation) (source.Source, error) {
	switch {
	case inv.Options.Replay != "":
		recording, err := Recording(inv)
		if err != nil {
			return nil, err // and not a nil *Recording in an interface
		}
		return recording, nil
	case inv.Options.AllNetns:
		hosts, err := live.DialAll(ctx, &live.HostsConfig{Warn: func(err error) { LeftOut(inv, err) }})
		if err != nil {
			return nil, err
		}
		return hosts, nil
	}
	host, err := live.Dial(&live.Config{Enter: inv.Options.Netns})
	if err != nil {
		return nil, err
	}
	return host, nil
}

// LeftOut tells of what cannot be shown.
func LeftOut(inv *grammar.Invocation, err error) {
	fmt.Fprintf(inv.Stderr, "%s: warning: %s\n", inv.Program, present.Escape(err.Error()))
}

// Recording opens the recording of --replay.
func Recording(inv *grammar.Invocation) (*recording.Recording, error) {
	opened := recording.Open
	if bundle.Is(inv.Options.Replay) {
		opened = bundle.ReadRecording
	}
	recording, err := opened(inv.Options.Replay)
	if err != nil {
		return nil, fmt.Errorf("--replay: %w", err)
	}
	if inv.Options.At != "" {
		at, err := When(inv.Options.At, time.Now())
		if err != nil {
			return nil, inv.Usage("--at " + err.Error())
		}
		if recording, err = recording.At(at); err != nil {
			return nil, fmt.Errorf("--at: %w", err)
		}
	}
	if recording.Truncated() {
		LeftOut(
			inv,
			fmt.Errorf(
				"%s ends in the middle of a block, as after a crash: only what came before it is shown",
				inv.Options.Replay,
			),
		)
	}
	return recording, nil
}
