package policy

import (
	"fmt"
	"slices"

	"mptcpctl/mptcp"
)

// Present is what the kernel has.
type Present struct {
	Limits    mptcp.Limits
	Endpoints []mptcp.Endpoint
}

// State is the record of the endpoints that a policy has made in a network
// namespace.
type State struct {
	Endpoints []mptcp.Endpoint `json:"endpoints"`
	// Refused are flags that were asked for and that this kernel drops in silence,
	// as it does with those that it does not know.
	Refused mptcp.EndpointFlags `json:"refused,omitempty"`
}

// Owns reports whether the endpoint is one that the policy has made. One that
// somebody removed and made anew is not, if it has another id.
func (s *State) Owns(e mptcp.Endpoint) bool {
	return slices.ContainsFunc(s.Endpoints, func(o mptcp.Endpoint) bool {
		return o.ID == e.ID && identityOf(o) == identityOf(e)
	})
}

// ChangeKind tells what is done to an endpoint.
type ChangeKind uint8

// The changes, in the order in which they are carried out.
const (
	Remove   ChangeKind = iota + 1 // Before
	Modify                         // Before's backup and fullmesh flags to After's
	Add                            // After
	TakeOver                       // nothing but to record Before, which is as wanted and made by others
)

// String returns the kind's name.
func (k ChangeKind) String() string {
	switch k {
	case Remove:
		return "remove"
	case Modify:
		return "change"
	case Add:
		return "add"
	case TakeOver:
		return "take over"
	}
	return fmt.Sprintf("change %d", uint8(k))
}

// Change is one thing to do.
type Change struct {
	Kind   ChangeKind
	Before mptcp.Endpoint // all but Add
	After  mptcp.Endpoint // all but Remove
}

// Left is an endpoint that is not the policy's.
type Left struct {
	Endpoint mptcp.Endpoint
	// InTheWay: the policy wants an endpoint with its address or its id, and cannot
	// have it.
	InTheWay bool
	// Wanted is the policy's wish that it is in the way of, or that it already
	// fulfils; without an address where there is no such wish.
	Wanted mptcp.Endpoint
}

// AsWanted reports whether the endpoint is what the policy would have made.
func (l *Left) AsWanted() bool { return !l.InTheWay && l.Wanted.Address.IsValid() }

// Plan is what has to change so that the kernel has what the policy asks for.
type Plan struct {
	Limits  *mptcp.Limits // to be set; nil: they are as wanted
	Changes []Change
	Left    []Left // what belongs to others, implicit endpoints aside
}

// Empty reports whether nothing has to change.
func (p *Plan) Empty() bool { return p.Limits == nil && len(p.Changes) == 0 }

// Plan returns what has to change. An exclusive plan takes over and removes also
// what others made.
func (p *Policy) Plan(desired []mptcp.Endpoint, present Present, owned *State, exclusive bool) *Plan {
	plan := &Plan{Limits: p.limits(present.Limits)}
	wanted := map[identity]mptcp.Endpoint{}
	desired = slices.Clone(desired)
	claimed := map[mptcp.AddressID]identity{} // ids that the file gives to endpoints
	for i := range desired {
		desired[i].Flags &^= owned.Refused
		e := desired[i]
		wanted[identityOf(e)] = e
		if e.ID != 0 {
			claimed[e.ID] = identityOf(e)
		}
	}
	foreign := func(e mptcp.Endpoint) bool {
		return !exclusive && !owned.Owns(e) && !e.Flags.Has(mptcp.FlagImplicit)
	}
	for _, e := range present.Endpoints {
		if want, ok := wanted[identityOf(e)]; ok && foreign(e) {
			delete(claimed, want.ID) // in vain: somebody else has the address
		}
	}
	served := map[identity]bool{}
	staying := map[mptcp.AddressID]mptcp.Endpoint{}
	for _, e := range present.Endpoints {
		want, isWanted := wanted[identityOf(e)]
		owner, isClaimed := claimed[e.ID]
		misplaced := isClaimed && owner != identityOf(e)
		switch {
		case e.Flags.Has(mptcp.FlagImplicit):
			// The kernel's own: an endpoint that is added without an id takes its place
			// and id, one with an id must find both free.
			if misplaced || isWanted && want.ID != 0 {
				plan.Changes = append(plan.Changes, Change{Kind: Remove, Before: e})
			}
			continue
		case foreign(e):
			same := isWanted && satisfies(e, want)
			plan.Left = append(plan.Left, Left{Endpoint: e, InTheWay: isWanted && !same, Wanted: want})
			served[identityOf(e)] = isWanted
		case misplaced || !isWanted || !satisfies(withChangeable(e, want), want):
			plan.Changes = append(plan.Changes, Change{Kind: Remove, Before: e})
			continue // to be added as it should be, if it is wanted
		default:
			served[identityOf(e)] = true
			if after := withChangeable(e, want); after != e {
				plan.Changes = append(plan.Changes, Change{Modify, e, after})
			} else if !owned.Owns(e) {
				plan.Changes = append(plan.Changes, Change{TakeOver, e, e})
			}
		}
		staying[e.ID] = e
	}
	plan.add(desired, served, staying)
	slices.SortStableFunc(plan.Changes, func(a, b Change) int { return a.order() - b.order() })
	return plan
}

// order sorts changes so that each finds the addresses and ids free that it needs:
// the kernel gives ids to endpoints that are added without one.
func (c Change) order() int {
	if c.Kind == Add && c.After.ID == 0 {
		return int(Add) + 1
	}
	return int(c.Kind)
}

// add plans what is not there yet. An id that somebody else's endpoint has is in
// the way.
func (p *Plan) add(desired []mptcp.Endpoint, served map[identity]bool, staying map[mptcp.AddressID]mptcp.Endpoint) {
	for _, e := range desired {
		if served[identityOf(e)] {
			continue
		}
		other, taken := staying[e.ID]
		if !taken || e.ID == 0 {
			p.Changes = append(p.Changes, Change{Kind: Add, After: e})
			continue
		}
		i := slices.IndexFunc(p.Left, func(l Left) bool { return l.Endpoint == other && !l.InTheWay })
		if i < 0 {
			p.Left = append(p.Left, Left{Endpoint: other})
			i = len(p.Left) - 1
		}
		p.Left[i].InTheWay, p.Left[i].Wanted = true, e
	}
}

// limits returns the limits to be set, nil where they are as wanted.
func (p *Policy) limits(present mptcp.Limits) *mptcp.Limits {
	wanted := present
	if p.Subflows != nil {
		wanted.Subflows = *p.Subflows
	}
	if p.AddAddrAccepted != nil {
		wanted.AddAddrAccepted = *p.AddAddrAccepted
	}
	if wanted == present {
		return nil
	}
	return &wanted
}

// satisfies reports whether the endpoint is as wanted. An id that the policy leaves
// to the kernel may be any.
func satisfies(e, want mptcp.Endpoint) bool {
	return e.Flags == want.Flags && e.IfIndex == want.IfIndex && (want.ID == 0 || want.ID == e.ID)
}

// changeable are the flags that the kernel changes in place.
const changeable = mptcp.FlagBackup | mptcp.FlagFullmesh

// withChangeable returns the endpoint with those of the wanted flags that can be
// changed in place.
func withChangeable(e, want mptcp.Endpoint) mptcp.Endpoint {
	e.Flags = e.Flags&^changeable | want.Flags&changeable
	return e
}

// Record returns the state after changes of the plan were carried out, from what the
// kernel has then. What was the policy's and is still there stays so.
func Record(before *State, done []Change, after []mptcp.Endpoint) *State {
	made := map[identity]mptcp.EndpointFlags{}
	for _, c := range done {
		if c.Kind != Remove {
			made[identityOf(c.After)] = c.After.Flags
		}
	}
	s := &State{Endpoints: []mptcp.Endpoint{}, Refused: before.Refused}
	for _, e := range after {
		if e.Flags.Has(mptcp.FlagImplicit) {
			continue
		}
		asked, ok := made[identityOf(e)]
		if ok || before.Owns(e) {
			s.Endpoints = append(s.Endpoints, e)
			s.Refused |= asked &^ e.Flags
		}
	}
	return s
}
