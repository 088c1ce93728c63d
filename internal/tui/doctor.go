package tui

import (
	"fmt"
	"strings"

	"mptcpctl/doctor"
	"mptcpctl/internal/present"
)

// diagnosis is what the doctor last said.
type diagnosis struct {
	report  *doctor.Report // nil: nothing yet
	err     error
	missing string // why there is no doctor; "": there is
	running bool
}

// verdict returns the lines of the overview: the verdict, and the worst findings.
func (d *diagnosis) verdict(l *look) []string {
	name := l.left("verdict", 13)
	switch {
	case d.missing != "":
		return []string{name + l.paint(dim, "not available: "+d.missing)}
	case d.err != nil:
		return []string{name + l.paint(warn, "not available: "+present.Escape(d.err.Error()))}
	case d.report == nil:
		return []string{name + l.paint(dim, "doctor is running")}
	}
	lines := []string{name + l.paint(verdictStyle(d.report.Verdict), d.report.Verdict.String()) + l.findings(d.report)}
	for i := range d.report.Findings {
		f := &d.report.Findings[i]
		if f.Severity == doctor.Info || i == 3 {
			break
		}
		lines = append(
			lines,
			l.left("", 13)+l.paint(severityStyle(f.Severity), f.Severity.String())+" "+string(
				f.Rule,
			)+" "+present.Escape(
				f.Title,
			),
		)
		if i == 0 && len(f.Fix) > 0 {
			fix, _, _ := strings.Cut(f.Fix[0], "\n")
			lines = append(lines, l.left("", 13)+l.paint(good, l.sign("→", "=>"))+" "+present.Escape(fix))
		}
	}
	return lines
}

// findings counts what there is beside the verdict.
func (l *look) findings(r *doctor.Report) string {
	if len(r.Findings) == 0 {
		return ""
	}
	return l.paint(dim, " ("+count(len(r.Findings), "finding", "findings")+", screen 6)")
}

func verdictStyle(v doctor.Verdict) style {
	switch v {
	case doctor.Failure:
		return bad
	case doctor.Warning, doctor.Unknown:
		return warn
	}
	return good
}

func severityStyle(s doctor.Severity) style {
	switch s {
	case doctor.Fail:
		return bad
	case doctor.Warn:
		return warn
	}
	return dim
}

// findings is the sixth screen: what the doctor found, with evidence and fixes.
type findings struct {
	*look
	diagnosis *diagnosis
}

// render returns all lines of the screen.
func (v *findings) render() []string {
	d := v.diagnosis
	switch {
	case d.missing != "":
		return []string{"", "  doctor is not available here: " + d.missing}
	case d.err != nil:
		return []string{"", "  doctor failed: " + present.Escape(d.err.Error())}
	case d.report == nil:
		return []string{"", "  doctor is running."}
	}
	r := d.report
	lines := []string{v.paint(verdictStyle(r.Verdict), r.Verdict.String()) + fmt.Sprintf("  %s, %s",
		count(len(r.Findings), "finding", "findings"), count(len(r.Connections), "connection", "connections"))}
	for i := range r.Findings {
		lines = append(lines, v.finding(&r.Findings[i])...)
	}
	if len(r.Unseen) > 0 {
		lines = append(lines, "", v.paint(bold, "Not seen"))
		for _, g := range r.Unseen {
			lines = append(lines, "  "+present.Escape(g.What)+": "+present.Escape(g.Why))
		}
	}
	return lines
}

func (v *findings) finding(f *doctor.Finding) []string {
	head := v.paint(severityStyle(f.Severity), f.Severity.String()) + " " + string(
		f.Rule,
	) + " " + v.paint(bold, present.Escape(f.Title)) +
		v.paint(dim, " ("+f.Confidence.String()+")")
	lines := []string{"", head}
	if about := subject(&f.Subject); about != "" {
		lines = append(lines, "  about "+about)
	}
	for _, e := range f.Evidence {
		lines = append(lines, "  "+v.sign("·", "-")+" "+present.Escape(e))
	}
	for i := range f.Excluded {
		lines = append(lines, "  "+v.sign("·", "-")+" "+v.paint(dim, present.Escape(f.Excluded[i].String())))
	}
	for _, x := range f.Fix {
		for line := range strings.Lines(x) {
			lines = append(
				lines, "  "+v.paint(good, v.sign("→", "=>"))+" "+present.Escape(strings.TrimSuffix(line, "\n")),
			)
		}
	}
	return lines
}

// subject says what a finding is about.
func subject(s *doctor.Subject) string {
	var parts []string
	add := func(text string) { parts = append(parts, text) }
	if s.Token != 0 {
		add("connection " + s.Token.String())
	}
	if s.Connections > 1 {
		add(count(s.Connections, "connection", "connections"))
	}
	if s.Remote.IsValid() {
		add("to " + s.Remote.String())
	}
	if s.Endpoint.IsValid() {
		add("endpoint " + s.Endpoint.String())
	}
	if s.Device != "" {
		add("device " + present.Escape(s.Device))
	}
	if s.Netns != "" {
		add("netns " + present.Escape(s.Netns))
	}
	return strings.Join(parts, ", ")
}
