package filter

import "mptcpctl/mptcp"

// any reports whether the test holds for some term of the expression.
func (n *node) any(test func(*node) bool) bool {
	for i := range n.kids {
		if n.kids[i].any(test) {
			return true
		}
	}
	return len(n.kids) == 0 && test(n)
}

func (e *Expr) uses(kinds ...kind) bool {
	return e != nil && e.root.any(func(n *node) bool {
		for _, k := range kinds {
			if n.kind == k {
				return true
			}
		}
		return false
	})
}

// NeedsProcesses reports whether the answer depends on the processes of a
// connection.
func (e *Expr) NeedsProcesses() bool { return e.uses(kindProcess) }

// NamesNetns reports whether a term names a network namespace.
func (e *Expr) NamesNetns() bool { return e.uses(kindNetns) }

// NeedsSubflows reports whether the answer depends on the subflows of a connection.
func (e *Expr) NeedsSubflows() bool {
	return e.uses(kindAddress, kindDevice, kindSubflows, kindBackup, kindID, kindFamily)
}

// NeedsDetails reports whether the answer depends on what brief lists leave out.
func (e *Expr) NeedsDetails() bool { return e.uses(kindPair) }

// NeedsEvents reports whether a term can be answered for events only, so that the
// expression makes no sense for a list of connections.
func (e *Expr) NeedsEvents() bool { return e.uses(kindEvent, kindReason, kindErrno) }

// NeedsDerived reports whether a term names an event that the kernel does not send:
// a tracker must derive them.
func (e *Expr) NeedsDerived() bool {
	return e != nil && e.root.any(func(n *node) bool { return n.kind == kindEvent && n.number > firstDerived })
}

// OnlyDerived reports whether all events that the expression names are derived, and
// nothing else is asked of events: it can be answered without the kernel's.
func (e *Expr) OnlyDerived() bool {
	return e.NeedsDerived() && !e.root.any(func(n *node) bool {
		return n.kind == kindReason || n.kind == kindErrno || n.kind == kindEvent && n.number <= firstDerived
	})
}

// NeedsConnection reports whether an event may need its connection to be judged.
func (e *Expr) NeedsConnection() bool {
	return e != nil && e.root.any(func(n *node) bool {
		switch n.kind {
		case kindEvent, kindReason, kindErrno, kindToken, kindNetns:
			return false
		}
		return true
	})
}

// NamesListeners reports whether the expression asks for the state of listeners
// by a name other than a group that holds all states.
func (e *Expr) NamesListeners() bool {
	return e != nil && e.root.any(func(n *node) bool {
		return n.kind == kindState && stateSet(n.number).has(mptcp.StateListen) && stateSet(n.number) != allStates
	})
}

// Tokens returns the tokens that a connection must have one of, if the expression
// is so narrow: looking these up is cheaper than listing all connections.
func (e *Expr) Tokens() ([]mptcp.Token, bool) {
	if e == nil {
		return nil, false
	}
	return e.root.tokens()
}

func (n *node) tokens() ([]mptcp.Token, bool) {
	switch n.kind {
	case kindToken:
		return []mptcp.Token{mptcp.Token(n.number)}, true
	case kindAnd:
		for i := range n.kids {
			if t, ok := n.kids[i].tokens(); ok {
				return t, true
			}
		}
	case kindOr:
		var all []mptcp.Token
		for i := range n.kids {
			t, ok := n.kids[i].tokens()
			if !ok {
				return nil, false
			}
			all = append(all, t...)
		}
		return all, true
	}
	return nil, false
}

// EventTypes returns the events of the kernel that the expression can match, with
// or without their connection: a reader may leave the others in the kernel. For
// events that this module has no name for, see [Expr.CanMatch].
func (e *Expr) EventTypes() []mptcp.EventType {
	var types []mptcp.EventType
	for _, t := range mptcp.EventTypes() {
		if e.CanMatch(t) {
			types = append(types, t)
		}
	}
	return types
}

// CanMatch reports whether an event of that type can match. It is never false for
// a type of which an event matches.
func (e *Expr) CanMatch(t mptcp.EventType) bool {
	return e == nil || t == mptcp.EventLost || e.root.outcomes(t)&(1<<yes) != 0
}

// outcomes is the set of truths, as bits 1 << truth, that the node can have for
// events of one type. For junctions it takes the kids to be independent, so that
// it may be too large and never too small.
func (n *node) outcomes(t mptcp.EventType) uint8 {
	switch n.kind {
	case kindNot:
		kid := n.kids[0].outcomes(t)
		return kid&(1<<unknown) | kid<<(yes-no)&(1<<yes) | kid>>(yes-no)&(1<<no)
	case kindAnd, kindOr:
		set := n.kids[0].outcomes(t)
		for i := range n.kids[1:] {
			set = combine(set, n.kids[i+1].outcomes(t), n.kind)
		}
		return set
	}
	return n.termOutcomes(t)
}

func combine(a, b uint8, k kind) uint8 {
	var set uint8
	for x := no; x <= yes; x++ {
		for y := no; y <= yes; y++ {
			if a&(1<<x) == 0 || b&(1<<y) == 0 {
				continue
			}
			if k == kindAnd {
				set |= 1 << min(x, y)
			} else {
				set |= 1 << max(x, y)
			}
		}
	}
	return set
}

func (n *node) termOutcomes(t mptcp.EventType) uint8 {
	const all, decided, never = 1<<no | 1<<unknown | 1<<yes, 1<<no | 1<<yes, 1 << no
	switch n.kind {
	case kindEvent:
		return 1 << known(uint64(t) == n.number)
	case kindReason, kindErrno:
		// Up to Linux 7.3 only events of a subflow carry these (mptcp_event_put_token_and_ssk).
		if t.Name() != "" && !ofSubflow(t) {
			return never
		}
		return decided
	}
	if isListener(t) {
		s := subject{listener: true}
		if truth, ok := s.asListener(n); ok {
			return 1 << truth
		}
	}
	return all
}

func ofSubflow(t mptcp.EventType) bool {
	switch t {
	case mptcp.EventSubflowEstablished, mptcp.EventSubflowClosed, mptcp.EventSubflowPriority:
		return true
	}
	return false
}
