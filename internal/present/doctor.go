package present

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
)

// DoctorText renders what doctor found as text.
type DoctorText struct {
	Colors Palette
	Width  int  // wrap lines of prose at this column; 0: not at all
	All    bool // also explanations, healthy connections and what could not be seen
	// Past says where earlier findings are from; "" means a recording.
	Past string
}

// mostListed is how many connections are listed unless all are asked for.
const mostListed = 12

// Write writes the report: the verdict, the findings with what to mend first in
// front, and the connections with the paths that they do not use. Of a healthy host
// it says just that.
func (t *DoctorText) Write(w io.Writer, r *doctor.Report) error {
	b := t.appendVerdict(nil, r)
	for i := range r.Findings {
		if f := &r.Findings[i]; t.shown(f) {
			b = append(b, '\n')
			b = t.AppendFinding(b, f)
		}
	}
	b = t.appendEarlier(b, r.Earlier)
	b = t.appendConnections(b, r)
	if t.All || r.Verdict != doctor.Healthy {
		b = t.appendUnseen(b, r.Unseen)
	}
	_, err := w.Write(b)
	return err
}

// appendEarlier appends what a recording shows to have been found before its end.
func (t *DoctorText) appendEarlier(b []byte, past []doctor.Past) []byte {
	if len(past) > 0 {
		past := t.Past
		if past == "" {
			past = "earlier in the recording, but not at its end (doctor --watch shows more)"
		}
		b = append(append(append(b, '\n'), past...), '\n')
	}
	for i := range past {
		p := &past[i]
		b = append(b, "  "...)
		b = p.First.UTC().AppendFormat(b, "15:04:05")
		if p.Last.After(p.First) {
			b = append(b, " to "...)
			b = p.Last.UTC().AppendFormat(b, "15:04:05")
		}
		b = append(b, " UTC "...)
		b = t.AppendHead(b, &p.Finding)
	}
	return b
}

// shown reports whether the finding is one to show: what merely explains only on
// request. Findings about rates are such a request: only --look makes them.
func (t *DoctorText) shown(f *doctor.Finding) bool {
	return t.All || f.Severity > doctor.Info || strings.HasPrefix(string(f.Rule), "S")
}

func (t *DoctorText) appendVerdict(b []byte, r *doctor.Report) []byte {
	var counts [doctor.Fail + 1]int
	for i := range r.Findings {
		counts[r.Findings[i].Severity]++
	}
	b = append(b, t.verdictColor(r.Verdict)...)
	b = append(b, r.Verdict.String()...)
	b = append(b, t.Colors.Reset...)
	var parts []string
	if n := counts[doctor.Fail]; n > 0 {
		parts = append(parts, Count(n, "failure"))
	}
	if n := counts[doctor.Warn]; n > 0 {
		parts = append(parts, Count(n, "warning"))
	}
	if n := counts[doctor.Info]; n > 0 && (t.All || r.Verdict != doctor.Healthy) {
		part := Count(n, "explanation")
		if !t.All {
			part += " (-d shows)"
		}
		parts = append(parts, part)
	}
	if len(parts) > 0 {
		b = append(b, ": "...)
		b = append(b, strings.Join(parts, ", ")...)
	}
	return append(b, '\n')
}

// AppendFinding appends one finding.
func (t *DoctorText) AppendFinding(b []byte, f *doctor.Finding) []byte {
	b = t.AppendHead(b, f)
	if about := subjectText(&f.Subject); about != "" {
		b = t.appendField(b, "about", about)
	}
	for i, evidence := range f.Evidence {
		b = t.appendField(b, once(i, "seen"), evidence)
	}
	for i := range f.Excluded {
		b = t.appendField(b, once(i, "sure"), f.Excluded[i].String())
	}
	for i, fix := range f.Fix {
		b = t.appendFix(b, once(i, "fix"), fix)
	}
	if len(f.Alternatives) > 0 {
		b = t.appendField(
			b, "or", "the same evidence fits "+rule.Join(f.Alternatives, ", ")+": one host alone cannot tell",
		)
	}
	return b
}

// AppendHead appends the first line of a finding.
func (t *DoctorText) AppendHead(b []byte, f *doctor.Finding) []byte {
	b = append(b, t.severityColor(f.Severity)...)
	b = append(b, strings.ToUpper(f.Severity.String())...)
	b = append(b, t.Colors.Reset...)
	b = append(b, ' ')
	b = append(b, Escape(string(f.Rule))...)
	b = append(b, ' ')
	b = append(b, t.Colors.Bold...)
	used := len(f.Severity.String()) + len(f.Rule) + 2
	b = t.appendWrapped(b, Escape(f.Title), used, "     ")
	b = append(b, t.Colors.Reset...)
	b = append(b, ' ')
	b = append(b, t.Colors.Dim...)
	b = append(b, '(')
	b = append(b, f.Confidence.String()...)
	b = append(b, ')')
	b = append(b, t.Colors.Reset...)
	return append(b, '\n')
}

// fieldIndent is where the text of a field begins.
const fieldIndent = "          "

func (t *DoctorText) appendField(b []byte, name, text string) []byte {
	b = t.appendName(b, name)
	b = t.appendWrapped(b, Escape(text), len(fieldIndent), fieldIndent)
	return append(b, '\n')
}

func (t *DoctorText) appendName(b []byte, name string) []byte {
	b = append(b, "  "...)
	b = append(b, t.Colors.Dim...)
	b = append(b, name...)
	b = append(b, t.Colors.Reset...)
	return append(b, fieldIndent[2+len(name):]...)
}

// appendFix appends commands as they are: a wrapped one could not be copied.
func (t *DoctorText) appendFix(b []byte, name, text string) []byte {
	for line := range strings.Lines(text) {
		b = t.appendName(b, name)
		b = append(b, t.Colors.Good...)
		b = append(b, Escape(strings.TrimSuffix(line, "\n"))...)
		b = append(b, t.Colors.Reset...)
		b = append(b, '\n')
		name = ""
	}
	return b
}

// appendWrapped appends escaped prose that begins at a column, broken at blanks.
func (t *DoctorText) appendWrapped(b []byte, text string, column int, indent string) []byte {
	if t.Width <= len(indent)+20 {
		return append(b, text...)
	}
	for i, word := range strings.Split(text, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > t.Width:
			b = append(b, '\n')
			b = append(b, indent...)
			column = len(indent)
		default:
			b = append(b, ' ')
			column++
		}
		b = append(b, word...)
		column += n
	}
	return b
}

// appendConnections appends the connections that are in trouble or leave paths
// unused.
func (t *DoctorText) appendConnections(b []byte, r *doctor.Report) []byte {
	listed, left := 0, 0
	for i := range r.Connections {
		c := &r.Connections[i]
		if !t.All && (c.Verdict == doctor.Healthy || r.Verdict == doctor.Healthy) {
			continue
		}
		if listed == mostListed && !t.All {
			left++
			continue
		}
		if listed == 0 {
			b = append(b, '\n')
		}
		listed++
		b = t.appendConnection(b, c)
	}
	if left > 0 {
		b = append(b, fmt.Sprintf("and %s more (-d shows)\n", Count(left, "connection"))...)
	}
	return b
}

func (t *DoctorText) appendConnection(b []byte, c *doctor.Connection) []byte {
	b = append(b, "connection "...)
	b = append(b, t.Colors.Bold...)
	b = c.Token.Append(b)
	b = append(b, t.Colors.Reset...)
	if c.Netns != "" {
		b = append(b, " netns "...)
		b = append(b, Escape(c.Netns)...)
	}
	b = append(b, ": "...)
	b = append(b, t.verdictColor(c.Verdict)...)
	b = append(b, c.Verdict.String()...)
	b = append(b, t.Colors.Reset...)
	b = append(b, ", "...)
	b = append(b, Count(c.Subflows, "subflow")...)
	b = append(b, ", "...)
	b = append(b, Count(c.PathsPossible, "link")...)
	if c.PathsPossible == 1 {
		b = append(b, " leads to the peer\n"...)
	} else {
		b = append(b, " lead to the peer\n"...)
	}
	for i := range c.Unused {
		u := &c.Unused[i]
		b = append(b, "  not from "...)
		b = appendIP(b, u.Address, t.Colors)
		if u.Device != "" {
			b = appendDevice(b, u.Device, t.Colors)
		}
		b = append(b, ": "...)
		b = append(b, Escape(u.Reason)...)
		if u.Rule != "" {
			b = append(b, " ("...)
			b = append(b, u.Rule...)
			b = append(b, ')')
		}
		b = append(b, '\n')
	}
	return b
}

func (t *DoctorText) appendUnseen(b []byte, gaps []doctor.Gap) []byte {
	if len(gaps) == 0 {
		return b
	}
	b = append(b, "\nnot seen\n"...)
	for _, g := range gaps {
		b = append(b, "  "...)
		b = t.appendWrapped(b, Escape(g.What)+": "+Escape(g.Why), 2, "    ")
		b = append(b, '\n')
	}
	return b
}

func (t *DoctorText) verdictColor(v doctor.Verdict) string {
	if v == doctor.Unknown {
		return t.Colors.Warn
	}
	return t.severityColor(doctor.Severity(v))
}

func (t *DoctorText) severityColor(s doctor.Severity) string {
	switch s {
	case doctor.Fail:
		return t.Colors.Bad
	case doctor.Warn:
		return t.Colors.Warn
	}
	return t.Colors.Good
}

// subjectText says what a finding is about.
func subjectText(s *doctor.Subject) string {
	var parts []string
	if s.Token != 0 {
		parts = append(parts, "connection "+s.Token.String())
	}
	if s.Connections > 1 {
		parts = append(parts, Count(s.Connections, "connection"))
	}
	if s.Remote.IsValid() {
		parts = append(parts, "to "+s.Remote.String())
	}
	if s.Endpoint.IsValid() {
		endpoint := "endpoint " + s.Endpoint.String()
		if s.EndpointID != 0 {
			endpoint += fmt.Sprintf(" id %d", s.EndpointID)
		}
		parts = append(parts, endpoint)
	}
	if s.Device != "" {
		parts = append(parts, "device "+s.Device)
	}
	if s.Netns != "" {
		parts = append(parts, "network namespace "+s.Netns)
	}
	if s.Host != "" {
		parts = append(parts, "host "+s.Host)
	}
	return strings.Join(parts, ", ")
}

// DoctorJSON returns the report in its JSON form: lists are never null.
func DoctorJSON(r *doctor.Report) *doctor.Report {
	out := *r
	out.Findings = append([]doctor.Finding{}, r.Findings...)
	for i := range out.Findings {
		withLists(&out.Findings[i])
	}
	out.Earlier = append([]doctor.Past(nil), r.Earlier...)
	for i := range out.Earlier {
		withLists(&out.Earlier[i].Finding)
	}
	out.Connections = append([]doctor.Connection{}, r.Connections...)
	return &out
}

// withLists gives the finding lists of its own, empty ones for nil.
func withLists(f *doctor.Finding) {
	f.Evidence, f.Fix = append([]string{}, f.Evidence...), append([]string{}, f.Fix...)
}

// DoctorRule writes what the catalogue says of a rule.
func (t *DoctorText) DoctorRule(w io.Writer, r *rule.Rule) error {
	b := append([]byte(nil), t.Colors.Bold...)
	b = append(b, r.ID...)
	b = append(b, ' ')
	b = append(b, r.Title...)
	b = append(b, t.Colors.Reset...)
	b = append(b, "\n\n"...)
	b = t.appendWrapped(b, r.Meaning, 0, "")
	b = append(b, "\n\n"...)
	for _, part := range []struct{ name, text string }{
		{"Signs", r.Signs}, {"What to do", r.Remedy}, {"Decided on", string(r.Needs)},
	} {
		if part.text == "" {
			continue
		}
		b = append(b, t.Colors.Bold...)
		b = append(b, part.name...)
		b = append(b, ": "...)
		b = append(b, t.Colors.Reset...)
		b = t.appendWrapped(b, part.text, len(part.name)+2, "  ")
		b = append(b, '\n')
	}
	if !r.Decided {
		b = append(b, "doctor cannot decide this on one host alone.\n"...)
	}
	_, err := w.Write(b)
	return err
}

// DoctorRules writes the titles of the catalogue.
func (t *DoctorText) DoctorRules(w io.Writer, rules []rule.Rule) error {
	var b []byte
	for i := range rules {
		r := &rules[i]
		b = append(b, t.Colors.Bold...)
		b = append(b, r.ID...)
		b = append(b, t.Colors.Reset...)
		b = append(b, "  "...)
		b = append(b, r.Title...)
		b = append(b, '\n')
	}
	_, err := w.Write(b)
	return err
}

// once returns the name for the first of several lines.
func once(i int, name string) string {
	if i == 0 {
		return name
	}
	return ""
}

// Count returns the number with its noun in the right form.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
