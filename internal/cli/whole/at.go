package whole

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// At shows a moment of the history.
func At(ctx context.Context, inv *grammar.Invocation) error {
	if inv.Path == "doctor" && inv.Options.At == "" {
		return doctorSince(ctx, inv)
	}
	show := map[string]func(*grammar.Invocation, *chronicle.Moment) error{
		"connection show": connectionsAt, "endpoint show": endpointsAt, "limits show": limitsAt, "doctor": doctorAt,
		"counters show": countersAt, "counters": countersAt,
	}[inv.Path]
	if show == nil {
		return inv.Usage("--at: the history shows connection, endpoint, limits, counters and doctor of a moment; " +
			"with --replay FILE, --at works with every command that shows something")
	}
	at, err := when(inv, "--at", inv.Options.At)
	if err != nil {
		return err
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	defer r.Close()
	m, err := momentAt(ctx, inv, r, at)
	if err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	tellMoment(inv, m, at)
	inv.Options.AllNetns = inv.Options.Netns == "" // what was kept names its namespaces
	return show(inv, m)
}

func connectionsAt(inv *grammar.Invocation, m *chronicle.Moment) error {
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	if expr.NeedsEvents() {
		return inv.Usage("this command lists connections, so words about events do not apply")
	}
	w := present.ConnectionWriter{Out: inv.Stdout, JSON: inv.Options.JSON, Pretty: inv.Options.Pretty}
	w.Text = present.ConnectionText{
		Colors: line.Palette(inv), ASCII: line.ASCIIOnly(), OneLine: inv.Options.OneLine, Details: inv.Options.Details,
	}
	for _, c := range m.Connections() {
		if expr.Connection(&c) {
			w.Text.Unasked = c.Pair.IsZero() // only its events are known yet
			if err := w.Write(&c); err != nil {
				return err
			}
		}
	}
	return w.Close()
}

// hostsAt returns the network namespaces that are asked for.
func hostsAt(inv *grammar.Invocation, m *chronicle.Moment) []*chronicle.Host {
	return slices.DeleteFunc(m.Hosts(), func(h *chronicle.Host) bool {
		return inv.Options.Netns != "" && h.Netns != inv.Options.Netns
	})
}

// endpointOf makes an endpoint of what was kept of it. Devices have the number of their place
// in names.
func endpointOf(e *chronicle.Endpoint, names *[]string) mptcp.Endpoint {
	out := mptcp.Endpoint{ID: mptcp.AddressID(e.ID), Address: e.Address, Port: e.Port}
	for _, word := range e.Flags {
		flag, _ := mptcp.ParseEndpointFlag(word)
		out.Flags |= flag
	}
	if e.Device != "" {
		*names = append(*names, e.Device)
		out.IfIndex = int32(len(*names))
	}
	return out
}

func endpointsAt(inv *grammar.Invocation, m *chronicle.Moment) error {
	if len(inv.Args) > 0 {
		return inv.Usage("--at shows all endpoints: it takes no arguments")
	}
	var names []string
	device := func(index int32) string { return names[index-1] }
	asJSON := present.EndpointJSON{Pretty: inv.Options.Pretty}
	var lists []present.EndpointList
	var b []byte
	for _, h := range hostsAt(inv, m) {
		text := present.EndpointText{Colors: line.Palette(inv), Device: device, Netns: h.Netns}
		list := present.EndpointList{Netns: h.Netns, Device: device}
		for i := range h.Endpoints {
			e := endpointOf(&h.Endpoints[i], &names)
			b = text.Append(b, &e)
			list.Endpoints = append(list.Endpoints, e)
		}
		lists = append(lists, list)
	}
	if inv.Options.JSON {
		b = asJSON.AppendLists(nil, lists)
	}
	_, err := inv.Stdout.Write(b)
	return err
}

func limitsAt(inv *grammar.Invocation, m *chronicle.Moment) error {
	var all []present.LimitsOf
	var b []byte
	for _, h := range hostsAt(inv, m) {
		all = append(all, present.LimitsOf{Netns: h.Netns, Limits: h.Limits})
		b = present.AppendLimits(b, h.Limits, present.NetnsEnd(h.Netns, "\n"))
	}
	if inv.Options.JSON {
		b = present.AppendLimitsJSON(nil, all, inv.Options.Pretty)
	}
	_, err := inv.Stdout.Write(b)
	return err
}

func countersAt(inv *grammar.Invocation, m *chronicle.Moment) error {
	if len(inv.Args) > 0 {
		return inv.Usage("--at shows all counters: it takes no arguments")
	}
	all := m.Counters()
	list := []present.Counter{}
	var b []byte
	for _, netns := range slices.Sorted(maps.Keys(all)) {
		values, err := counterValues(all[netns])
		if err != nil {
			return err
		}
		list = append(list, present.CounterObjectsOf(netns, values)...)
		text := present.CounterText{Colors: line.Palette(inv)}
		if netns != "" {
			b = append(append(b, "netns "...), present.Escape(netns)+"\n"...)
		}
		b = text.Append(b, values)
	}
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, list, inv.Options.Pretty)
	}
	_, err := inv.Stdout.Write(b)
	return err
}

// counterValues makes values of the counters that were told.
func counterValues(byName map[string]uint64) (counters.Values, error) {
	var names, numbers strings.Builder
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		names.WriteString(" " + name)
		fmt.Fprintf(&numbers, " %d", byName[name])
	}
	return counters.ParseTable("MPTcpExt:"+names.String()+"\nMPTcpExt:"+numbers.String()+"\n", "MPTcpExt")
}

// doctorAt shows what doctor had found by then, and had not unsaid.
func doctorAt(inv *grammar.Invocation, m *chronicle.Moment) error {
	expr, err := line.Filter(inv)
	if err != nil {
		return err
	}
	report := reportAt(inv, m, expr)
	return writeReport(inv, report, "")
}

// reportAt returns what doctor had found by then, and had not unsaid.
func reportAt(inv *grammar.Invocation, m *chronicle.Moment, expr *filter.Expr) *doctor.Report {
	report := &doctor.Report{
		Schema: 1, Time: m.Time.UTC(), Findings: []doctor.Finding{}, Connections: []doctor.Connection{},
	}
	for _, object := range m.Findings() {
		var f doctor.Finding
		if err := json.Unmarshal(object, &f); err != nil {
			line.LeftOut(inv, fmt.Errorf("a finding cannot be read: %w", err))
			continue
		}
		if expr != nil && !concerns(&f, m, expr.Connection) {
			continue
		}
		report.Findings = append(report.Findings, f)
		switch f.Severity {
		case doctor.Fail:
			report.Verdict = report.Verdict.Worse(doctor.Failure)
		case doctor.Warn:
			report.Verdict = report.Verdict.Worse(doctor.Warning)
		}
	}
	slices.SortStableFunc(report.Findings, func(a, b doctor.Finding) int { return int(b.Severity) - int(a.Severity) })
	return report
}

// writeReport writes a report, and returns the exit code of its verdict. past heads what was
// found earlier.
func writeReport(inv *grammar.Invocation, report *doctor.Report, past string) (err error) {
	if inv.Options.JSON {
		err = present.JSON(inv.Stdout, present.DoctorJSON(report), inv.Options.Pretty)
	} else {
		text := present.DoctorText{
			Colors: line.Palette(inv), Width: line.Width(inv.Stdout), All: inv.Options.Details, Past: past,
		}
		err = text.Write(inv.Stdout, report)
	}
	if err != nil {
		return err
	}
	if report.Verdict == doctor.Healthy {
		return nil
	}
	return exit.Status(int(report.Verdict))
}

// concerns reports whether a finding is about a connection that matches, or about a peer of one.
func concerns(f *doctor.Finding, m *chronicle.Moment, matches func(*mptcp.Connection) bool) bool {
	for _, c := range m.Connections() {
		same := f.Subject.Token != 0 && f.Subject.Token == c.Token ||
			f.Subject.Remote.IsValid() && f.Subject.Remote == c.Remote
		if same && matches(&c) {
			return true
		}
	}
	return false
}
