package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"mptcpctl/mptcp"

	"pgregory.net/rapid"
)

// fakeKernel is the path manager, as far as plans need it.
type fakeKernel struct {
	limits    mptcp.Limits
	endpoints []mptcp.Endpoint
	knows     mptcp.EndpointFlags
}

func (k *fakeKernel) do(t fataler, c Change) {
	switch c.Kind {
	case Remove:
		k.remove(t, c.Before)
	case Modify:
		i := k.index(c.Before)
		if i < 0 {
			t.Fatalf("change of %v, which is not there", c.Before)
		}
		k.endpoints[i].Flags = k.endpoints[i].Flags&^changeable | c.After.Flags&changeable
	case Add:
		k.add(t, c.After)
	}
}

type fataler interface{ Fatalf(string, ...any) }

func (k *fakeKernel) index(e mptcp.Endpoint) int {
	return slices.IndexFunc(k.endpoints, func(o mptcp.Endpoint) bool { return o.ID == e.ID })
}

func (k *fakeKernel) remove(t fataler, e mptcp.Endpoint) {
	i := k.index(e)
	if i < 0 {
		t.Fatalf("removal of %v, which is not there", e)
	}
	k.endpoints = slices.Delete(k.endpoints, i, i+1)
}

func (k *fakeKernel) add(t fataler, e mptcp.Endpoint) {
	e.Flags &= k.knows
	for i, o := range k.endpoints {
		if identityOf(o) == identityOf(e) {
			if !o.Flags.Has(mptcp.FlagImplicit) || e.ID != 0 {
				t.Fatalf("%v is there already: %v", e, o)
			}
			e.ID = o.ID
			k.endpoints[i] = e
			return
		}
	}
	for id := mptcp.AddressID(1); e.ID == 0; id++ {
		if k.index(mptcp.Endpoint{ID: id}) < 0 {
			e.ID = id
		}
	}
	if k.index(e) >= 0 {
		t.Fatalf("the id of %v is taken", e)
	}
	k.endpoints = append(k.endpoints, e)
}

// apply plans and carries out.
func (k *fakeKernel) apply(t fataler, p *Policy, h *Host, s *State, exclusive bool) (*State, *Plan) {
	desired, _ := p.Desired(h)
	plan := p.Plan(desired, Present{k.limits, slices.Clone(k.endpoints)}, s, exclusive)
	if plan.Limits != nil {
		k.limits = *plan.Limits
	}
	for _, c := range plan.Changes {
		k.do(t, c)
	}
	return Record(s, plan.Changes, k.endpoints), plan
}

func drawEndpoint(t *rapid.T) mptcp.Endpoint {
	return mptcp.Endpoint{
		ID:      mptcp.AddressID(rapid.IntRange(0, 3).Draw(t, "id")),
		Address: netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", rapid.IntRange(1, 4).Draw(t, "address"))),
		IfIndex: int32(rapid.IntRange(0, 1).Draw(t, "dev")),
		Flags: rapid.SampledFrom([]mptcp.EndpointFlags{mptcp.FlagSubflow, mptcp.FlagSignal, mptcp.FlagSubflow | mptcp.FlagBackup, mptcp.FlagSubflow | mptcp.FlagLaminar}).
			Draw(t, "flags"),
	}
}

func drawPolicy(t *rapid.T) *Policy {
	p := &Policy{}
	if rapid.Bool().Draw(t, "limits") {
		p.Subflows = new(uint32(rapid.IntRange(0, 3).Draw(t, "subflows")))
	}
	for _, e := range rapid.SliceOfN(rapid.Custom(drawEndpoint), 0, 4).Draw(t, "rules") {
		r := Rule{Address: e.Address, ID: e.ID, Flags: e.Flags}
		if e.IfIndex != 0 {
			r.Device = "eth0"
		}
		p.Rules = append(p.Rules, r)
		if p.check() != nil {
			p.Rules = p.Rules[:len(p.Rules)-1]
		}
	}
	return p
}

// TestPlanAgainstModel applies policies one after the other, while somebody else
// adds and removes endpoints too: nothing of theirs is touched, the second time
// changes nothing, and what is wanted is there unless something is in its way.
func TestPlanAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &fakeKernel{knows: mptcp.KnownEndpointFlags &^ mptcp.FlagLaminar}
		host := &Host{Links: map[string]int32{"eth0": 1}}
		state := &State{}
		theirs := map[mptcp.AddressID]mptcp.Endpoint{}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			if e := drawEndpoint(t); rapid.Bool().Draw(t, "foreign") && k.index(e) < 0 &&
				!slices.ContainsFunc(
					k.endpoints,
					func(o mptcp.Endpoint) bool { return identityOf(o) == identityOf(e) },
				) {
				if rapid.Bool().Draw(t, "implicit") {
					e.Flags = mptcp.FlagImplicit
				}
				k.add(t, e)
				if got := k.endpoints[len(k.endpoints)-1]; got.Flags != mptcp.FlagImplicit {
					theirs[got.ID] = got
				}
			}
			p := drawPolicy(t)
			exclusive := rapid.IntRange(0, 9).Draw(t, "exclusive") == 0
			var plan *Plan
			state, plan = k.apply(t, p, host, state, exclusive)
			check(t, k, p, host, plan, exclusive, theirs)
			if exclusive {
				if i := slices.IndexFunc(k.endpoints, func(e mptcp.Endpoint) bool { return !e.Flags.Has(mptcp.FlagImplicit) && !state.Owns(e) }); i >= 0 {
					t.Fatalf("%v was not taken over", k.endpoints[i])
				}
				clear(theirs)
			}
			var again *Plan
			if state, again = k.apply(t, p, host, state, exclusive); !again.Empty() {
				t.Fatalf("the second time changes %+v", again)
			}
		}
		// An empty policy takes everything back that policies made.
		state, _ = k.apply(t, &Policy{}, host, state, false)
		if len(state.Endpoints) > 0 {
			t.Fatalf("left: %v", state.Endpoints)
		}
	})
}

func check(
	t *rapid.T,
	k *fakeKernel,
	p *Policy,
	host *Host,
	plan *Plan,
	exclusive bool,
	theirs map[mptcp.AddressID]mptcp.Endpoint,
) {
	if !exclusive {
		for id, e := range theirs {
			if i := k.index(mptcp.Endpoint{ID: id}); i < 0 || k.endpoints[i] != e {
				t.Fatalf("%v is somebody else's and is gone: %v", e, k.endpoints)
			}
		}
	}
	if p.Subflows != nil && k.limits.Subflows != *p.Subflows {
		t.Fatalf("limits %v", k.limits)
	}
	desired, _ := p.Desired(host)
	for _, want := range desired {
		want.Flags &= k.knows
		there := slices.ContainsFunc(k.endpoints, func(e mptcp.Endpoint) bool {
			return identityOf(e) == identityOf(want) && satisfies(e, want)
		})
		told := slices.ContainsFunc(
			plan.Left,
			func(l Left) bool { return l.InTheWay && identityOf(l.Wanted) == identityOf(want) },
		)
		if !there && !told {
			t.Fatalf("%v is missing without a word: %v", want, k.endpoints)
		}
		if told && exclusive {
			t.Fatalf("something is in the way of an exclusive plan: %+v", plan.Left)
		}
	}
}
