package present

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"mptcpctl/doctor/rule"
)

// Probe is what came of connecting to a server for a trial.
type Probe struct {
	Host    string         `json:"host"`
	Address netip.AddrPort `json:"address"`
	Verdict string         `json:"verdict"` // "mptcp", "fallback", "failed"; "unknown" before Linux 5.16
	Reason  string         `json:"reason,omitempty"`
	Rule    rule.ID        `json:"rule,omitempty"`

	Attempts []ProbeAttempt    `json:"attempts"`
	Joins    []ProbeJoin       `json:"joins"`
	Counters map[string]uint64 `json:"counters,omitempty"` // that moved meanwhile, in the whole namespace
	Notes    []string          `json:"notes,omitempty"`
}

// ProbeAttempt is one connect.
type ProbeAttempt struct {
	From   netip.Addr    `json:"from,omitzero"` // zero: the kernel chose
	Local  string        `json:"local,omitempty"`
	Device string        `json:"dev,omitempty"`
	MPTCP  bool          `json:"mptcp"` // asked for
	Spoken string        `json:"spoken,omitempty"`
	Error  string        `json:"error,omitempty"`
	Took   time.Duration `json:"took_ns"`
}

// ProbeJoin is what became of an endpoint on the first connection.
type ProbeJoin struct {
	Address netip.Addr `json:"address"`
	Device  string     `json:"dev,omitempty"`
	State   string     `json:"state"` // "established", "pending", "none"
	Reason  string     `json:"reason,omitempty"`
	Rule    rule.ID    `json:"rule,omitempty"`
}

// Probe writes the outcome as text.
func (t *DoctorText) Probe(w io.Writer, p *Probe) error {
	color := t.Colors.Bad
	word := "no connection over MPTCP"
	switch p.Verdict {
	case "mptcp":
		color, word = t.Colors.Good, "MPTCP"
	case "fallback":
		color, word = t.Colors.Warn, "fell back to TCP"
	case "unknown":
		color, word = t.Colors.Warn, "connected, but this kernel cannot tell whether with MPTCP"
	}
	b := append([]byte(nil), Escape(p.Host)...)
	b = append(b, " ("...)
	b = append(b, p.Address.String()...)
	b = append(b, "): "...)
	b = append(b, color...)
	b = append(b, word...)
	b = append(b, t.Colors.Reset...)
	if p.Reason != "" {
		b = append(b, ": "...)
		b = append(b, Escape(p.Reason)...)
		b = appendRule(b, p.Rule)
	}
	b = append(b, '\n')
	for i := range p.Attempts {
		b = t.appendAttempt(b, &p.Attempts[i])
	}
	for i := range p.Joins {
		b = t.appendJoin(b, &p.Joins[i])
	}
	for i, note := range p.Notes {
		b = t.appendField(b, once(i, "note"), note)
	}
	_, err := w.Write(b)
	return err
}

func appendRule(b []byte, id rule.ID) []byte {
	if id == "" {
		return b
	}
	b = append(b, " ("...)
	b = append(b, id...)
	return append(b, ')')
}

func (t *DoctorText) appendAttempt(b []byte, a *ProbeAttempt) []byte {
	b = append(b, "  from "...)
	switch {
	case a.Local != "":
		b = append(b, a.Local...)
	case a.From.IsValid():
		b = a.From.AppendTo(b)
	default:
		b = append(b, "any address"...)
	}
	if a.Device != "" {
		b = appendDevice(b, a.Device, t.Colors)
	}
	if a.MPTCP {
		b = append(b, " over MPTCP: "...)
	} else {
		b = append(b, " over plain TCP: "...)
	}
	took := a.Took.Round(10 * time.Microsecond)
	switch {
	case a.Error != "":
		b = append(b, t.Colors.Bad...)
		b = append(b, a.Error...)
	case a.Spoken == "fallback":
		b = append(b, t.Colors.Warn...)
		b = append(b, "connected, fell back to TCP"...)
	default:
		b = append(b, t.Colors.Good...)
		b = append(b, "connected"...)
	}
	b = append(b, t.Colors.Reset...)
	return append(b, fmt.Sprintf(" in %s\n", took)...)
}

func (t *DoctorText) appendJoin(b []byte, j *ProbeJoin) []byte {
	b = append(b, "  join from "...)
	b = appendIP(b, j.Address, t.Colors)
	if j.Device != "" {
		b = appendDevice(b, j.Device, t.Colors)
	}
	b = append(b, ": "...)
	color := t.Colors.Bad
	if j.State == "established" {
		color = t.Colors.Good
	}
	b = append(b, color...)
	b = append(b, j.State...)
	b = append(b, t.Colors.Reset...)
	if j.Reason != "" {
		b = append(b, ", "...)
		b = append(b, Escape(j.Reason)...)
		b = appendRule(b, j.Rule)
	}
	return append(b, '\n')
}
