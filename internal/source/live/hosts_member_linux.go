package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"mptcpctl/hostnet"
	"mptcpctl/pathmanager"
)

// member is one namespace.
type member struct {
	*Host
	inode   uint64
	current bool
	direct  bool // its events come by a listener of its own
	stop    context.CancelFunc
	read    chan struct{} // closed when its own listener was read to the end; nil: nobody reads
	unwatch context.CancelFunc
	dump    *dumper // of a recording
}

// open opens a namespace, with a listener of its own where its events come by no
// other.
func (h *Hosts) open(n hostnet.NamedNamespace) (*member, error) {
	m := &member{inode: n.Inode, current: n.Current, stop: func() {}, unwatch: func() {}}
	ns, err := hostnet.OpenNamespace(n.Path)
	if err != nil {
		return nil, err
	}
	// From here on the namespace cannot be replaced by another with its inode.
	defer func() {
		if m.Host == nil || m.home != ns {
			ns.Close()
		}
	}()
	if inode, err := ns.Inode(); err != nil || inode != n.Inode {
		return nil, fmt.Errorf("it has gone: %w", errors.Join(err, fs.ErrNotExist))
	}
	name := h.unique(n)
	config := &Config{Netns: name, others: seenAs{n.Name, cmp.Or(n.Container, n.Process)}}
	if n.Name == "" && n.PID != 0 {
		config.others.name = strconv.Itoa(n.PID)
	}
	if h.config.Events != nil {
		m.direct = h.main == nil || !n.Current && !h.remember(ns, name)
	}
	if m.direct {
		listen := *h.config.Events
		if listen.Engine == pathmanager.EngineAuto {
			listen.Engine = pathmanager.EngineNetlink // one ring is 16 MB, and namespaces may be hundreds
		}
		config.Events = &listen
	}
	if r := h.config.recorder; r != nil {
		m.dump = r.newDumper(name)
		config.taps = m.dump.taps()
		if m.direct {
			config.Events.Tap = m.dump.tapEvent
		}
	}
	if n.Current {
		m.Host, err = Dial(config)
		return m, err
	}
	config.home = ns
	if config.Enter = n.Name; n.Name == "" && n.PID != 0 {
		config.Enter = strconv.Itoa(n.PID)
	}
	err = ns.Do(func() (err error) {
		m.Host, err = Dial(config)
		return err
	})
	return m, err
}

// unique returns the name by which the namespace's objects are known: that in
// /run/netns, else its container, else a process in it.
func (h *Hosts) unique(n hostnet.NamedNamespace) string {
	name := n.String()
	if n.Name == "" && n.Container != "" {
		name = n.Container
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if slices.ContainsFunc(h.members, func(m *member) bool { return m.netns == name }) {
		name += fmt.Sprintf(" net:[%d]", n.Inode)
	}
	return name
}

// leave lets go of the namespace.
func (m *member) leave() {
	if m.dump != nil {
		m.dump.leave()
	}
	_ = m.close() // it only read
}

// close closes the member's sockets and its namespace.
func (m *member) close() error {
	err := m.Host.Close()
	if m.home != nil {
		err = errors.Join(err, m.home.Close())
	}
	return err
}
