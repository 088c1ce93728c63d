package track

import (
	"context"
	"slices"
	"strings"

	"mptcpctl/track/dump"
)

// namespace is what is known of a network namespace apart from its connections. It
// is replaced, not changed, when something new comes, so that states may share it.
type namespace struct {
	snapshot Snapshot // without connections and subflows
	facts    *dump.Facts
	counters Counters
	unread   bool // the namespace is new: counters are taken to have begun at zero
}

func newNamespace(s *Snapshot) *namespace {
	n := &namespace{snapshot: *s, facts: dump.NewFacts(s)}
	n.snapshot.Connections, n.snapshot.Subflows = nil, nil
	return n
}

// refresh reads the facts of a namespace again, except its sockets. Those of the last dump
// may be seconds old, and say nothing about what is newer.
func (t *Tracker) refresh(ctx context.Context, netns string) {
	s, err := t.source.Namespace(ctx, netns)
	if err != nil || s == nil {
		return // the old facts are kept until the next dump
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Netns = netns
	n := newNamespace(s)
	if before := findNamespace(t.namespaces, netns); before != nil {
		n.snapshot.Listeners = before.snapshot.Listeners
		n.facts.KeepListeners(before.facts)
		n.counters, n.unread = before.counters, before.unread
		n.facts.Succeed(before.facts)
	} else {
		n.counters, n.unread = unrisen(), true
	}
	t.namespaces = putNamespace(t.namespaces, n)
	t.touch()
}

// findNamespace returns the namespace of that name from the list ordered by name,
// or nil.
func findNamespace(list []*namespace, name string) *namespace {
	i, ok := slices.BinarySearchFunc(list, name, func(n *namespace, name string) int {
		return strings.Compare(n.snapshot.Netns, name)
	})
	if !ok {
		return nil
	}
	return list[i]
}

// putNamespace returns a copy of the list with the namespace added or replaced.
func putNamespace(list []*namespace, n *namespace) []*namespace {
	list = slices.Clone(list)
	i, ok := slices.BinarySearchFunc(list, n.snapshot.Netns, func(n *namespace, name string) int {
		return strings.Compare(n.snapshot.Netns, name)
	})
	if ok {
		list[i] = n
		return list
	}
	return slices.Insert(list, i, n)
}
