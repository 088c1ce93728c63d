package rule

import (
	"slices"
)

// Family is a kind of causes. The order is that in which causes are mended: what
// lies nearer to the root comes first.
type Family uint8

// The families.
const (
	FamilyHost Family = iota
	FamilyApplication
	FamilyLimits
	FamilyEndpoint
	FamilyRoute
	FamilyPath
	FamilyPeer
	FamilyTool
	FamilyRate // what limits the rate: doctor/slow has the rules
)

var familyNames = [...]string{"host", "application", "limits", "endpoint", "route", "path", "peer", "tool", "rate"}

// String returns the family's name.
func (f Family) String() string {
	if int(f) < len(familyNames) {
		return familyNames[f]
	}
	return "unknown"
}

// MarshalText returns the family's name.
func (f Family) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Needs says what it takes to decide a rule.
type Needs string

// What rules need.
const (
	NeedsHost   Needs = "this host"
	NeedsEvents Needs = "this host, listening to events when it happens"
	NeedsProbe  Needs = "a probe"
	NeedsPeer   Needs = "the peer's report"
	NeedsLooks  Needs = "this host, looking for some seconds while data flows"
)

// Rule is an entry of the catalogue of causes.
type Rule struct {
	ID     ID     `json:"id"`
	Family Family `json:"family"`
	Title  string `json:"title"`
	// Meaning tells in a user's words what is the matter.
	Meaning string `json:"meaning"`
	// Signs tells by what it shows.
	Signs string `json:"signs"`
	// Remedy tells what to do.
	Remedy string `json:"remedy"`
	Needs  Needs  `json:"needs"`
	// Decided says that Diagnose can report the rule, if only as an alternative.
	Decided bool `json:"decided"`
}

// All returns the catalogue in the order of the ids.
func All() []Rule {
	all := slices.Concat(
		hostRules[:], applicationRules[:], limitRules[:], endpointRules[:], routeRules[:], pathRules[:],
		peerRules[:], toolRules[:],
	)
	slices.SortFunc(all, func(a, b Rule) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return all
}

// Explain returns the entry of the catalogue with that id, in any case.
func Explain(id ID) (Rule, bool) {
	for _, r := range All() {
		if len(id) == 3 && (id[0] == 'd' || id[0] == 'D') && r.ID[1:] == id[1:] {
			return r, true
		}
	}
	return Rule{}, false
}
