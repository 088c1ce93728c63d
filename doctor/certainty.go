package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"mptcpctl/doctor/fallback"
	"mptcpctl/doctor/rule"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Exclusion is a fact, and the rules whose causes it excludes: those that would show the
// same effect. Without rules it excludes whatever else could be: the kernel itself says
// what the finding says.
type Exclusion struct {
	Fact  string    `json:"fact"` // may hold foreign strings: escape before showing
	Rules []rule.ID `json:"rules,omitempty"`
}

// String returns the fact, with the rules that it excludes, of many the first.
func (x *Exclusion) String() string {
	const most = 4
	switch n := len(x.Rules); {
	case n == 0:
		return x.Fact
	case n > most+1:
		return fmt.Sprintf("%s (excludes %s and %d more)", x.Fact, rule.Join(x.Rules[:most], ", "), n-most)
	}
	return x.Fact + " (excludes " + rule.Join(x.Rules, ", ") + ")"
}

// excluding returns the exclusion of rules by one fact.
func excluding(fact string, rules ...rule.ID) []Exclusion {
	slices.Sort(rules)
	return []Exclusion{{fact, rules}}
}

// admit takes certainty from a finding that names other causes which the same evidence
// fits, and from one that names no fact which excludes them.
func (f *Finding) admit() {
	if len(f.Alternatives) > 0 || len(f.Excluded) == 0 {
		f.Confidence = min(f.Confidence, track.Likely)
	}
	if f.Confidence < track.Certain {
		f.Excluded = nil
	}
}

// doubt takes certainty from findings that exclude what another one found about the same
// thing: one of them is wrong, or the facts are not enough to tell.
func doubt(found []Finding) {
	for i := range found {
		f := &found[i]
		for j := range found {
			if other := &found[j]; i != j && f.excludes(other.Rule) && f.touches(other) &&
				!slices.Contains(f.Alternatives, other.Rule) {
				f.Alternatives = append(slices.Clone(f.Alternatives), other.Rule)
			}
		}
	}
}

// excludes reports whether the finding says that it cannot be that cause.
func (f *Finding) excludes(id rule.ID) bool {
	return slices.ContainsFunc(f.Excluded, func(x Exclusion) bool { return slices.Contains(x.Rules, id) })
}

// touches reports whether both findings are about the same endpoint, or none, and about a
// connection in common, or the namespace as a whole.
func (f *Finding) touches(other *Finding) bool {
	if f.Subject.Endpoint != other.Subject.Endpoint || (len(f.tokens) == 0) != (len(other.tokens) == 0) {
		return false
	}
	for t := range f.tokens {
		if other.Concerns(t) {
			return true
		}
	}
	return len(f.tokens) == 0
}

// excludedBy returns what the ledger excludes, for a finding by the rule that rests on one of
// its entries.
func (v *view) excludedBy(e *ledger.Entry, id rule.ID) []Exclusion {
	if e == nil || !e.Certain() {
		return nil
	}
	var list []Exclusion
	for _, x := range v.ledger().Excluded(e) {
		var rules []rule.ID
		for _, c := range x.Causes {
			if r := ruleOf(e.Kind, c); r != "" && r != id && !slices.Contains(rules, r) {
				rules = append(rules, r)
			}
		}
		if slices.Sort(rules); len(rules) > 0 {
			list = append(list, Exclusion{x.Fact, rules})
		}
	}
	return list
}

// excludedFallbacks returns what excludes other causes than the one for which a connection
// uses plain TCP.
func (v *view) excludedFallbacks(c *mptcp.Connection, cause fallback.Cause) []Exclusion {
	var rules []rule.ID
	for _, other := range fallback.Counters() {
		if other.Rule != cause.Rule && other.On(c.Side) && !slices.Contains(rules, other.Rule) {
			rules = append(rules, other.Rule)
		}
	}
	const single = "each fallback moves one counter, and of those that fit no other one moved"
	return excluding(cmp.Or(cause.Excluding, single), rules...)
}
