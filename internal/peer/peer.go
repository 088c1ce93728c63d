package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mptcpctl/doctor/bothends"
)

// Config says how hosts are asked. Nil means the defaults.
type Config struct {
	// Window is how long counters and events are watched there, see gather.Config.
	Window time.Duration
	// Copy brings this program along to a host that is asked by ssh, instead of running the
	// one that is there.
	Copy bool
	// Warn is called with what a host says beside its facts; nil: nobody hears it.
	Warn func(error)
}

// Error tells which host could not be asked, and why.
type Error struct {
	Peer string // as the user wrote it: foreign, escape it before showing
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("peer %s: %v", e.Peer, e.Err) }

// Unwrap returns why.
func (e *Error) Unwrap() error { return e.Err }

// asker gets the facts of one host. It calls ready when the host begins to gather, or
// when there is nothing to wait for.
type asker interface {
	ask(ctx context.Context, c *Config, ready func()) (bothends.Host, error)
}

// parse reads what the user wrote: ssh:[USER@]HOST[:PORT], or a file.
func parse(text string) (asker, error) {
	if where, ok := strings.CutPrefix(text, "ssh:"); ok {
		return parseRemote(where)
	}
	if strings.Contains(text, "://") {
		return nil, errors.New("want a file (a bundle or a recording) or ssh:[USER@]HOST[:PORT]")
	}
	return file(text), nil
}

// Answers are the facts of hosts that are being asked.
type Answers struct {
	asking sync.WaitGroup
	begun  sync.WaitGroup
	hosts  []bothends.Host
	failed []error
}

// Ask begins to ask the hosts, all at the same time. The error is an [*Error] of what can be
// none.
func Ask(ctx context.Context, peers []string, c *Config) (*Answers, error) {
	if c == nil {
		c = &Config{}
	}
	a := &Answers{hosts: make([]bothends.Host, len(peers)), failed: make([]error, len(peers))}
	askers := make([]asker, len(peers))
	for i, text := range peers {
		var err error
		if askers[i], err = parse(text); err != nil {
			return nil, &Error{text, err}
		}
	}
	for i, one := range askers {
		a.begun.Add(1)
		ready := sync.OnceFunc(a.begun.Done)
		a.asking.Go(func() {
			defer ready()
			host, err := one.ask(ctx, c, ready)
			if err != nil {
				a.failed[i] = &Error{peers[i], err}
				return
			}
			a.hosts[i] = host
		})
	}
	return a, nil
}

// Begun returns when each host has begun to gather, or failed: now is the time to gather here.
func (a *Answers) Begun() { a.begun.Wait() }

// Hosts returns the facts of the hosts that answered, when all have answered or failed, and an
// [*Error] for each of the others. Names are made different where two are the same.
func (a *Answers) Hosts() (hosts []bothends.Host, failed []error) {
	a.asking.Wait()
	names := map[string]int{}
	for i, err := range a.failed {
		if err != nil {
			failed = append(failed, err)
			continue
		}
		h := a.hosts[i]
		if names[h.Name]++; names[h.Name] > 1 {
			h.Name = fmt.Sprintf("%s (%d)", h.Name, names[h.Name])
		}
		hosts = append(hosts, h)
	}
	return hosts, failed
}
