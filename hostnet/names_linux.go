package hostnet

import (
	"context"
	"strconv"
	"sync"

	"github.com/vishvananda/netlink"
)

// Names knows the names of links by their indices. It asks the kernel once for
// each link, and remembers the names of links that are gone: events that tell of
// their subflows come later. It may be used by several goroutines at once.
type Names struct {
	reader *Reader // nil: only what Learn was told

	mu    sync.RWMutex
	names map[int]string
}

// NewNames returns names that are read with the reader, which stays the caller's.
// Without a reader they come from [Names.Learn] alone, as for a recording.
func NewNames(r *Reader) *Names { return &Names{reader: r, names: map[int]string{}} }

// Name returns the name of the link, or "if7" as iproute2 does where there is
// none. Names of links are chosen by users: escape them before showing.
func (n *Names) Name(index int) string {
	n.mu.RLock()
	name, ok := n.names[index]
	n.mu.RUnlock()
	if ok {
		return name
	}
	if name, ok := n.ask(index); ok {
		n.mu.Lock()
		n.names[index] = name
		n.mu.Unlock()
		return name
	}
	return "if" + strconv.Itoa(index)
}

// ask asks the kernel for the name of a link.
func (n *Names) ask(index int) (string, bool) {
	if n.reader == nil || index <= 0 {
		return "", false
	}
	n.reader.mu.Lock()
	defer n.reader.mu.Unlock()
	if n.reader.usable() != nil {
		return "", false
	}
	name := ""
	err := n.reader.ask(func(h *netlink.Handle) error {
		link, err := h.LinkByIndex(index)
		if err == nil {
			name = link.Attrs().Name
		}
		return err
	})
	return name, err == nil
}

// Learn takes in the names of links, such as those of a dump.
func (n *Names) Learn(links []Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range links {
		n.names[l.Index] = l.Name
	}
}

// Refresh reads all names anew, for links that were renamed; those that are gone
// are kept.
func (n *Names) Refresh(ctx context.Context) error {
	if n.reader == nil {
		return nil
	}
	links, err := dump(ctx, n.reader, "link dump", (*netlink.Handle).LinkList)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range links {
		n.names[l.Attrs().Index] = l.Attrs().Name
	}
	return nil
}
