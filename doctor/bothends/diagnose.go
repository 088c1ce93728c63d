package bothends

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/match"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Report is the outcome for several hosts. The embedded report is of all of them: its
// findings say which host they are about, and its connections are those of the first host.
type Report struct {
	doctor.Report
	Hosts   []HostReport `json:"hosts"`
	Matched []Matched    `json:"matched"` // the connections of which both ends were seen
}

// HostReport is what the report says of one host as a whole.
type HostReport struct {
	Name        string         `json:"name"`
	Time        time.Time      `json:"time,omitzero"` // of its facts, by its own clock
	Verdict     doctor.Verdict `json:"verdict"`
	Connections int            `json:"connections"`
	Unmatched   int            `json:"unmatched"` // connections of which none of the other hosts has an end
	// AheadMS is by how much the clock is ahead of the first host's, at most WithinMS more
	// or less, in milliseconds. Both are absent where the clocks were not compared.
	AheadMS  *float64 `json:"ahead_ms,omitempty"`
	WithinMS *float64 `json:"within_ms,omitempty"`
}

// Matched is a connection of which both ends were seen.
type Matched struct {
	By   match.By `json:"by"`
	Ends [2]End   `json:"ends"`
}

// End is one end of a connection.
type End struct {
	Host  string      `json:"host"`
	Netns string      `json:"netns,omitempty"`
	Token mptcp.Token `json:"token"`
}

// Diagnose makes one report of several hosts: what is said of each alone, as
// [doctor.Diagnose] does, with what the facts of the others decide, and what only several
// together show. Facts are not changed.
func Diagnose(hosts ...Host) Report {
	all := sides(hosts)
	report := Report{Report: doctor.Report{Schema: 1, Findings: []doctor.Finding{}}, Matched: []Matched{}}
	found := decided(all)
	for _, s := range all {
		found = append(found, s.differences(all)...)
		if s.host == hosts[0].Name {
			report.Connections = append(report.Connections, s.report.Connections...)
		}
		for _, g := range s.Unseen {
			g.What += " of " + s.host
			report.Unseen = append(report.Unseen, g)
		}
	}
	found = append(found, clocks(hosts, all)...)
	families := map[rule.ID]rule.Family{}
	for _, r := range rule.All() {
		families[r.ID] = r.Family
	}
	slices.SortStableFunc(found, func(a, b doctor.Finding) int {
		return cmp.Or(-cmp.Compare(a.Severity, b.Severity), -cmp.Compare(a.Confidence, b.Confidence),
			cmp.Compare(families[a.Rule], families[b.Rule]))
	})
	report.Findings = append(report.Findings, found...)
	for i, h := range hosts {
		one := summary(&h, of(all, h.Name), found, i > 0)
		report.Hosts = append(report.Hosts, one)
		report.Verdict = report.Verdict.Worse(one.Verdict)
		if one.Time.After(report.Time) {
			report.Time = one.Time
		}
	}
	report.Matched = append(report.Matched, matched(all)...)
	return report
}

// summary tells of a host as a whole.
func summary(h *Host, list []*side, found []doctor.Finding, other bool) HostReport {
	r := HostReport{Name: h.Name}
	for _, s := range list {
		if s.report.Verdict == doctor.Unknown {
			r.Verdict = doctor.Unknown
		}
		r.Connections += len(s.ends)
		for _, e := range s.ends {
			if e.side == nil {
				r.Unmatched++
			}
		}
		if s.Time.After(r.Time) {
			r.Time = s.Time.UTC()
		}
	}
	for i := range found {
		if found[i].Subject.Host == h.Name && found[i].Severity > doctor.Info {
			r.Verdict = doctor.Verdict(found[i].Severity).Worse(r.Verdict)
		}
	}
	if other && h.Within > 0 {
		ahead, within := milliseconds(h.Ahead), milliseconds(h.Within)
		r.AheadMS, r.WithinMS = &ahead, &within
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// matched lists the connections of which both ends were seen, each once.
func matched(all []*side) (list []Matched) {
	seen := map[*mptcp.Connection]bool{}
	for _, s := range all {
		for i, e := range s.ends {
			c := &s.Connections[i]
			if e.side == nil || seen[c] {
				continue
			}
			seen[e.c] = true
			list = append(list, Matched{e.by, [2]End{
				{s.host, s.Netns, c.Token}, {e.side.host, e.side.Netns, e.c.Token},
			}})
		}
	}
	return list
}

// decided returns the findings of each host, with what the others decide. What is said of a
// host by itself is not said again of it by another.
func decided(all []*side) (found []doctor.Finding) {
	for _, s := range all {
		for _, f := range s.report.Findings {
			f.Subject.Host = s.host
			if f.Subject.Netns == "" {
				f.Subject.Netns = s.Netns
			}
			if s.host != all[0].host {
				f = elsewhere(f)
			}
			found = append(found, s.decide(all, f))
		}
	}
	return withoutEffects(withoutTwins(found))
}

// explains tells which findings of one host are but the effect of a certain one of another.
func explains(id rule.ID) []rule.ID {
	switch id {
	case rule.AddressMissing, rule.LinkDown, rule.SilentPath:
		return []rule.ID{rule.SilentPath}
	case rule.PeerLimit:
		return []rule.ID{rule.PeerLimit, rule.NotRetried, rule.SubflowLimit}
	case rule.AnnouncedWithoutListener, rule.ListenerClosed:
		return []rule.ID{rule.NotRetried, rule.JoinRefused}
	case rule.DataChanged:
		return []rule.ID{rule.OptionStripped}
	}
	return nil
}

// withoutEffects leaves out what is likely on one host because of what is certain on another:
// where the finding names the cause among others, or its evidence is that of the effect.
func withoutEffects(found []doctor.Finding) (kept []doctor.Finding) {
	for i := range found {
		f := &found[i]
		cause := slices.IndexFunc(found, func(c doctor.Finding) bool {
			effect := slices.Contains(explains(c.Rule), f.Rule) &&
				(f.Confidence < track.Certain || c.Rule == rule.DataChanged)
			named := slices.Contains(f.Alternatives, c.Rule)
			if c.Rule == rule.PeerLimit && f.Rule == rule.SubflowLimit && c.Subject.Host != f.Subject.Host {
				return false // it is about a limit of its own
			}
			return c.Confidence == track.Certain && (effect || named) &&
				(c.Subject.Host != f.Subject.Host || across(&c) && f.Confidence < track.Certain)
		})
		if cause < 0 {
			kept = append(kept, *f)
		}
	}
	return kept
}

// elsewhere returns a finding of another host in words that are right on the first one.
func elsewhere(f doctor.Finding) doctor.Finding {
	name := func(text string) string { return strings.ReplaceAll(text, "this host", f.Subject.Host) }
	f.Title, f.Evidence, f.Fix = name(f.Title), slices.Clone(f.Evidence), slices.Clone(f.Fix)
	for i, line := range f.Evidence {
		f.Evidence[i] = name(line)
	}
	for i, line := range f.Fix {
		f.Fix[i] = "on " + f.Subject.Host + ": " + name(line)
	}
	return f
}

// withoutTwins leaves one finding of each cause on a host at a place: the surest, then the
// first, with the evidence of both.
func withoutTwins(found []doctor.Finding) (kept []doctor.Finding) {
	for _, f := range found {
		i := slices.IndexFunc(kept, func(k doctor.Finding) bool { return twins(&k, &f) })
		if i < 0 {
			kept = append(kept, f)
			continue
		}
		best, rest := kept[i], f
		if rest.Confidence > best.Confidence {
			best, rest = rest, best
		}
		best.Evidence = append(slices.Clone(best.Evidence), without(rest.Evidence, best.Evidence)...)
		best.Severity = max(best.Severity, rest.Severity)
		kept[i] = best
	}
	return kept
}

// twins reports whether the findings are about one cause at one place, of which at least one
// was found from the other host.
func twins(a, b *doctor.Finding) bool {
	return a.Rule == b.Rule && a.Subject.Host == b.Subject.Host && a.Subject.Netns == b.Subject.Netns &&
		(a.Subject.Endpoint == b.Subject.Endpoint || !a.Subject.Endpoint.IsValid() || !b.Subject.Endpoint.IsValid()) &&
		a.Rule != "" && (across(a) || across(b))
}

// across reports whether the finding was decided from the other host.
func across(f *doctor.Finding) bool {
	return slices.ContainsFunc(f.Evidence, func(line string) bool { return line == bySeveral })
}

// bySeveral is the evidence line of what the facts of several hosts decide.
const bySeveral = "decided on the facts of both hosts"

func without(list, known []string) (rest []string) {
	for _, line := range list {
		if !slices.Contains(known, line) {
			rest = append(rest, line)
		}
	}
	return rest
}

// target is what a finding leads to on another host.
type target struct {
	*side
	c     *mptcp.Connection // of the host that found it
	end   *mptcp.Connection // its other end; nil: not seen
	at    netip.AddrPort    // where the packets go to
	local netip.Addr        // where they come from
}

// decide returns the finding with what the facts of the other hosts decide of it.
func (s *side) decide(all []*side, f doctor.Finding) doctor.Finding {
	for i := range s.Connections {
		c := &s.Connections[i]
		if !about(&f, c) && !(f.Subject.Token == 0 && wholeHost(f.Rule)) {
			continue
		}
		t, ok := s.target(all, i, &f)
		if !ok {
			continue
		}
		for _, judge := range judges(all, c.Side) {
			before := f
			f.Evidence = slices.Clip(f.Evidence)
			if judge(s, t, &f) {
				excludes(&f, &before)
				f.Alternatives, f.Evidence = nil, append(f.Evidence, bySeveral)
				return f
			}
		}
	}
	return f
}

// excludes says what a decided finding excludes: what was named before, by the facts that were
// added. Certain is what all else is excluded for.
func excludes(f, before *doctor.Finding) {
	if f.Excluded = nil; f.Confidence < track.Certain {
		return
	}
	var others []rule.ID
	for _, id := range append([]rule.ID{before.Rule}, before.Alternatives...) {
		if id != f.Rule && !slices.Contains(others, id) {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	for _, fact := range f.Evidence[min(len(before.Evidence), len(f.Evidence)):] {
		f.Excluded = append(f.Excluded, doctor.Exclusion{Fact: fact, Rules: others})
	}
}

// judge decides a finding of the side, if the target's facts do.
type judge func(*side, *target, *doctor.Finding) bool

// judges are those for findings about a connection of which the finder has that side.
func judges(all []*side, of mptcp.Side) []judge {
	either := []judge{silentThere, neverHeard, announcedThere}
	if of == mptcp.SideServer {
		return either
	}
	return append(either,
		noDaemonThere, limitThere, handshakeThere, forbiddenThere, elsewhereJoined(all), noListenerThere, answersLost,
		announcedInVain, joinThere)
}

// wholeHost reports whether findings of the rule are about the settings of a namespace, and
// judged by whichever connection.
func wholeHost(id rule.ID) bool {
	switch id {
	case rule.AnnouncementTooLong, rule.AnnouncementsNotAccepted, rule.ClientSignals, rule.ReversePathFilter:
		return true
	}
	return false
}

// about reports whether the finding is about the connection.
func about(f *doctor.Finding, c *mptcp.Connection) bool {
	return f.Concerns(c.Token) || f.Subject.Token != 0 && f.Subject.Token == c.Token
}

// target finds the host that the packets of a finding about a connection go to.
func (s *side) target(all []*side, i int, f *doctor.Finding) (*target, bool) {
	c := &s.Connections[i]
	t := &target{c: c, end: s.ends[i].c, at: c.Remote, local: c.Local.Addr()}
	if f.Subject.Remote.IsValid() {
		t.at = f.Subject.Remote
	}
	if f.Subject.Endpoint.IsValid() {
		t.local = f.Subject.Endpoint
	}
	if t.side = s.ends[i].side; t.side != nil {
		return t, true
	}
	for _, other := range all {
		if other.host == s.host || !other.holds(t.at.Addr()) {
			continue
		}
		if t.side != nil {
			return nil, false // two hosts have the address
		}
		t.side = other
	}
	return t, t.side != nil
}
