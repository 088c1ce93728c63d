package live

import (
	"context"
	"errors"
	"io/fs"
	"iter"

	"mptcpctl/internal/kernel"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// Polled is a live source that was opened without its events: a stream of nothing. A
// tracker then finds out by looking again what happened.
type Polled struct{ Live }

// Live is a host, or all of its network namespaces.
type Live interface {
	source.Source
	Ended(ctx context.Context) iter.Seq2[track.EndedSubflow, error]
}

// Batches yields nothing, and ends with ctx.
func (Polled) Batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	return func(func([]mptcp.Event, error) bool) { <-ctx.Done() }
}

// DialEvents opens a namespace with its events, or where these are not allowed without
// them, and says why. Enter is as in [Config].
func DialEvents(enter string) (host *Host, noEvents string, err error) {
	host, err = Dial(&Config{Enter: enter, Events: &pathmanager.ListenConfig{}})
	if errors.Is(err, fs.ErrPermission) {
		host, err = Dial(&Config{Enter: enter})
		return host, noEventsReason(), err
	}
	return host, "", err
}

// DialAllEvents opens all network namespaces with their events, or where these are not
// allowed in the own one without them, and says why. It warns of namespaces that are
// left out.
func DialAllEvents(ctx context.Context, warn func(error)) (hosts *Hosts, noEvents string, err error) {
	var first []error // what is left out of the first attempt: the second tells its own
	tell := func(err error) { first = append(first, err) }
	hosts, err = DialAll(ctx, &HostsConfig{Events: &pathmanager.ListenConfig{}, Warn: func(err error) { tell(err) }})
	if errors.Is(err, fs.ErrPermission) {
		hosts, err = DialAll(ctx, &HostsConfig{Warn: warn})
		return hosts, noEventsReason(), err
	}
	for _, err := range first {
		warn(err)
	}
	tell = warn
	return hosts, "", err
}

// noEventsReason says why there are no events, and what an old kernel keeps back
// together with them.
func noEventsReason() string {
	reason := "events need CAP_NET_ADMIN in the network namespace"
	if release := kernel.Release(); sockdiag.PrivilegedSubflows(release) {
		reason += "; Linux " + release + " then keeps back the subflows too"
	}
	return reason
}
