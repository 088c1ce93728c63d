package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

var _ source.Source = (*Hosts)(nil)

// HostsConfig adjusts Hosts. The zero value, and nil, mean all namespaces without
// their events.
type HostsConfig struct {
	// Events subscribes to the events of all namespaces.
	Events *pathmanager.ListenConfig
	// Search says where to look for namespaces.
	Search hostnet.NamespaceSearch
	// Warn is told what is left out, and why: once for each namespace. It may be
	// nil.
	Warn func(error)

	recorder *recorder // is shown what the kernel says; nil: nobody is
}

// Hosts is all network namespaces of the running kernel that the caller may enter:
// those that have a name in /run/netns, and those of processes. They come and go
// while Batches is read. Its methods may be used by several goroutines.
//
// Events of the namespaces that have a number (nsid) in the caller's one come by a
// single socket, which needs CAP_NET_BROADCAST; the others get a socket each.
type Hosts struct {
	config HostsConfig
	reader *hostnet.Reader // of the caller's namespace: knows the numbers

	main *pathmanager.Listener // of all numbered namespaces; nil: there is none
	feed chan []mptcp.Event    // batches of the members' own listeners

	mu      sync.Mutex // guards what follows
	members []*member  // the caller's own first
	warned  map[string]bool
	numbers map[int32]number // of namespaces with one
	scanned time.Time
	follow  func(*member) // reads the events of one that has its own listener; nil: nobody reads
	watch   func(*member) // reads the ends of its subflows; nil: nobody reads

	scanning sync.Mutex // held by scan
}

// DialAll opens all namespaces. What is not allowed is left out, and told to
// HostsConfig.Warn; the error is about the caller's own namespace.
func DialAll(ctx context.Context, c *HostsConfig) (*Hosts, error) {
	h := &Hosts{warned: map[string]bool{}, numbers: map[int32]number{}, feed: make(chan []mptcp.Event)}
	if c != nil {
		h.config = *c
	}
	var err error
	if h.reader, err = hostnet.New(nil); err != nil {
		return nil, err
	}
	if err := h.listen(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if err := h.scan(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// listen opens the socket for the events of all numbered namespaces.
func (h *Hosts) listen() (err error) {
	if h.config.Events == nil {
		return nil
	}
	listen := *h.config.Events
	listen.AllNamespaces, listen.Resolve = true, h.nameOfNumber
	if h.config.recorder != nil {
		listen.Tap = h.tapMain
	}
	if h.main, err = pathmanager.Listen(&listen); err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	h.warn(
		"all",
		fmt.Errorf(
			"one socket for the events of all namespaces needs CAP_NET_BROADCAST: each namespace gets its own: %w",
			err,
		),
	)
	return nil
}

// Close closes all sockets.
func (h *Hosts) Close() error {
	h.mu.Lock()
	members := h.members
	h.members = nil
	for _, m := range members {
		m.stop()
		m.unwatch()
	}
	h.mu.Unlock()
	var errs []error
	for _, m := range members {
		errs = append(errs, m.close())
	}
	if h.main != nil {
		errs = append(errs, h.main.Close())
	}
	if h.reader != nil {
		errs = append(errs, h.reader.Close())
	}
	return errors.Join(errs...)
}

// list returns the members.
func (h *Hosts) list() []*member {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.members)
}

// named returns the member with that name, nil where it has gone.
func (h *Hosts) named(netns string) *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.members {
		if m.netns == netns {
			return m
		}
	}
	return nil
}

// Views returns the namespaces.
func (h *Hosts) Views() []source.View {
	var views []source.View
	for _, m := range h.list() {
		views = append(views, m.Host)
	}
	return views
}

// Engine names the way on which events come, "" where they were not asked for.
func (h *Hosts) Engine() string {
	if h.main != nil {
		return h.main.Engine().String() + ", one socket for all namespaces"
	}
	for _, m := range h.list() {
		if l := m.Listener(); l != nil {
			return l.Engine().String() + ", a socket for each namespace"
		}
	}
	return ""
}

// DeviceName returns the name of a device of the namespace, and whether that is
// known. It is foreign: escape it before showing.
func (h *Hosts) DeviceName(netns string, index int32) (string, bool) {
	m := h.named(netns)
	if m == nil {
		return "", false
	}
	return m.Host.DeviceName(index), true
}

// Refused returns how many messages did not come from the kernel.
func (h *Hosts) Refused() uint64 {
	var n uint64
	if h.main != nil {
		n = h.main.Refused()
	}
	for _, m := range h.list() {
		if l := m.Listener(); l != nil {
			n += l.Refused()
		}
	}
	return n
}
