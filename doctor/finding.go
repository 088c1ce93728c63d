package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Severity says how bad a finding is.
type Severity uint8

// The severities, mildest first.
const (
	Info Severity = iota // an explanation: nothing is wrong
	Warn                 // it works worse than it could
	Fail                 // something that was asked for does not work
)

// String returns "info", "warn" or "fail".
func (s Severity) String() string {
	switch s {
	case Warn:
		return "warn"
	case Fail:
		return "fail"
	}
	return "info"
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] for the names of String.
func (s *Severity) UnmarshalText(text []byte) error {
	for known := Info; known <= Fail; known++ {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("%q is no severity", text)
}

// Verdict is the outcome for a host or a connection.
type Verdict uint8

// The verdicts. The number is the exit code of the command.
const (
	Healthy Verdict = iota
	Warning
	Failure
	Unknown // nothing was found, and what matters most could not be seen
)

// String returns "healthy", "warning", "failure" or "unknown".
func (v Verdict) String() string {
	switch v {
	case Unknown:
		return "unknown"
	case Warning:
		return "warning"
	case Failure:
		return "failure"
	}
	return "healthy"
}

// Worse returns the verdict on two hosts together: what was found says more than that
// something was not seen.
func (v Verdict) Worse(other Verdict) Verdict {
	if v == Unknown || other == Unknown {
		if found := min(v, other); found != Healthy {
			return found
		}
		return Unknown
	}
	return max(v, other)
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Subject is what a finding is about. Fields that do not apply are zero.
type Subject struct {
	Token       mptcp.Token     `json:"token,omitzero"`       // the connection, if it is about one
	Connections int             `json:"connections,omitzero"` // how many connections, if several
	Remote      netip.AddrPort  `json:"remote,omitzero"`      // the peer
	Endpoint    netip.Addr      `json:"endpoint,omitzero"`
	EndpointID  mptcp.AddressID `json:"endpoint_id,omitzero"`
	Device      string          `json:"device,omitempty"` // foreign: escape it before showing
	Netns       string          `json:"netns,omitempty"`
	Host        string          `json:"host,omitempty"` // in a report of several hosts: foreign as well
}

// Finding is one thing that a rule found.
type Finding struct {
	Rule       rule.ID          `json:"rule"`
	Severity   Severity         `json:"severity"`
	Confidence track.Confidence `json:"confidence"`
	Title      string           `json:"title"`
	Subject    Subject          `json:"subject"`
	Evidence   []string         `json:"evidence"` // may hold foreign strings: escape before showing
	Fix        []string         `json:"fix"`      // commands, and what to do; never run by themselves
	// Alternatives are rules that the same evidence fits, where one host alone
	// cannot tell them apart.
	Alternatives []rule.ID `json:"alternatives,omitempty"`
	// Excluded are the facts that exclude the other causes of the same effect: a finding
	// that is certain has some.
	Excluded []Exclusion `json:"excluded,omitempty"`

	tokens map[mptcp.Token]struct{} // all connections that it is about
	host   bool                     // it is about the host, and not about one of its network namespaces
}

// Concerns reports whether the finding is about the connection of the namespace.
func (f *Finding) Concerns(t mptcp.Token) bool {
	_, ok := f.tokens[t]
	return ok
}

// UnusedPath is an address that a connection does not use.
type UnusedPath struct {
	Address netip.Addr `json:"address"`
	Device  string     `json:"device,omitempty"` // foreign: escape it before showing
	Reason  string     `json:"reason"`
	Rule    rule.ID    `json:"rule,omitempty"` // "" where no rule is about it
}

// Connection is the outcome for one connection.
type Connection struct {
	Token         mptcp.Token  `json:"token"`
	Netns         string       `json:"netns,omitempty"`
	Subflows      int          `json:"subflows"`       // that are up
	PathsPossible int          `json:"paths_possible"` // links of this host that lead to the peer
	Verdict       Verdict      `json:"verdict"`
	Unused        []UnusedPath `json:"unused,omitempty"`
}

// Report is the outcome for a network namespace.
type Report struct {
	Schema      int          `json:"schema"`
	Time        time.Time    `json:"time,omitzero"` // of the facts, UTC
	Verdict     Verdict      `json:"verdict"`
	Findings    []Finding    `json:"findings"` // what to mend first comes first
	Connections []Connection `json:"connections"`
	Unseen      []Gap        `json:"unseen,omitempty"`
	Earlier     []Past       `json:"earlier,omitempty"` // of a recording: what had been found before its end
}

// Past is a finding of a time before the report's.
type Past struct {
	Finding Finding   `json:"finding"`
	First   time.Time `json:"first"` // when it was found first
	Last    time.Time `json:"last"`  // and last
}

// Add adds findings of rules that are not among those of Diagnose. The worst of all come first.
func (r *Report) Add(found []Finding) {
	r.Findings = append(r.Findings, found...)
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(b.Severity, a.Severity) })
	for i := range found {
		r.Verdict = r.Verdict.Worse(verdictOf(found[i].Severity))
	}
}
