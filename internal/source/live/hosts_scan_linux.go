package live

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"time"

	"mptcpctl/hostnet"

	"golang.org/x/sys/unix"
)

// number is what is known of the namespace that has a number.
type number struct {
	name  string
	held  bool      // by a member: else the number may be another namespace's by now
	until time.Time // until then nobody is looked for: none was found just now
	left  time.Time // when the member that had it was left; zero: there was none
}

// refresh looks for namespaces, unless Batches does or it was done just now.
func (h *Hosts) refresh(ctx context.Context) error {
	h.mu.Lock()
	due := h.follow == nil && time.Since(h.scanned) >= rescanProcesses
	h.mu.Unlock()
	if !due {
		return nil
	}
	return h.scan(ctx)
}

// scan looks for namespaces that came and went.
func (h *Hosts) scan(ctx context.Context) error {
	h.scanning.Lock()
	defer h.scanning.Unlock()
	list, err := h.config.Search.List(ctx)
	if err != nil {
		return err
	}
	if list.Unreadable > 0 {
		h.warn("unreadable", unreadable(list.Unreadable, os.Geteuid() == 0))
	}
	listed := make(map[uint64]bool, len(list.Namespaces))
	for _, n := range list.Namespaces {
		listed[n.Inode] = true
	}
	h.leave(listed) // first: one that came may have the name of one that went
	room := h.room()
	for i, n := range list.Namespaces {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m := h.member(n.Inode); m != nil {
			h.renumber(m)
			continue
		}
		if room <= 0 && !n.Current {
			h.warn("descriptors", crowded(len(list.Namespaces)-i, len(list.Namespaces)))
			break
		}
		room--
		m, err := h.open(n)
		if err != nil && n.Current {
			return err
		}
		if n.Name == "" && ended(err) {
			continue // the process has ended since it was listed: nothing is left out
		}
		if err != nil {
			h.warn(strconv.FormatUint(n.Inode, 10), entering(n, err))
			continue
		}
		h.join(m)
	}
	h.mu.Lock()
	h.scanned = time.Now()
	h.mu.Unlock()
	return nil
}

func (h *Hosts) member(inode uint64) *member {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.members {
		if m.inode == inode {
			return m
		}
	}
	return nil
}

// remember notes the number of a namespace, and reports whether it has one.
func (h *Hosts) remember(ns *hostnet.Namespace, name string) bool {
	id, ok, err := h.reader.NSID(ns)
	if err != nil || !ok {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.numbers[id] = number{name: name, held: true}
	return true
}

// renumber notes a number that a namespace was given since: from then on its events
// come by the main socket, too. Those by the socket of its own are kept, for no moment
// to change over is between two events.
func (h *Hosts) renumber(m *member) {
	if h.main != nil && !m.current && m.home != nil {
		h.remember(m.home, m.netns)
	}
}

// join takes a member in.
func (h *Hosts) join(m *member) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.members = append(h.members, m)
	if h.follow != nil {
		h.follow(m)
	}
	if h.watch != nil {
		h.watch(m)
	}
}

// leave lets go of the members that are not listed any more: while a socket is
// open in a namespace the kernel keeps it.
func (h *Hosts) leave(listed map[uint64]bool) {
	h.mu.Lock()
	var gone []*member
	h.members = slices.DeleteFunc(h.members, func(m *member) bool {
		left := !listed[m.inode] && !m.current
		if left {
			m.stop()
			m.unwatch()
			gone = append(gone, m)
		}
		return left
	})
	for _, m := range gone {
		for id, n := range h.numbers {
			if n.name == m.netns {
				h.numbers[id] = number{name: n.name, left: time.Now()} // what is on its way has that name still
			}
		}
	}
	h.mu.Unlock()
	for _, m := range gone {
		if m.read == nil {
			m.leave()
			continue
		}
		go func() {
			<-m.read // all that had come
			m.leave()
		}()
	}
}

// ended reports whether the error says that the process through which a namespace was
// found is no more.
func ended(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) }
