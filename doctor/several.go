package doctor

import (
	"cmp"
	"slices"
)

// DiagnoseAll makes one report of the facts of several network namespaces of a host.
// What is about the host, and not about one of them, is told once.
func DiagnoseAll(facts []Facts) Report {
	if len(facts) == 1 {
		return Diagnose(facts[0])
	}
	all := Report{Schema: 1, Findings: []Finding{}}
	everywhere := map[Gap]int{}
	for i := range facts {
		for _, gap := range facts[i].Unseen {
			everywhere[gap]++
		}
	}
	for i := range facts {
		r := Diagnose(facts[i])
		for _, f := range r.Findings {
			switch {
			case f.host && slices.ContainsFunc(all.Findings, f.same):
				continue
			case !f.host && f.Subject.Netns == "":
				f.Subject.Netns = facts[i].Netns
			}
			all.Findings = append(all.Findings, f)
		}
		for _, gap := range r.Unseen {
			switch {
			case everywhere[gap] == len(facts):
				if i > 0 {
					continue
				}
			case facts[i].Netns != "":
				gap.What += " of " + facts[i].Netns
			}
			all.Unseen = append(all.Unseen, gap)
		}
		all.Verdict = all.Verdict.Worse(r.Verdict)
		if r.Time.After(all.Time) {
			all.Time = r.Time
		}
		all.Connections = append(all.Connections, r.Connections...)
	}
	slices.SortStableFunc(all.Findings, func(a, b Finding) int { return -cmp.Compare(a.Severity, b.Severity) })
	return all
}

// same reports whether two findings about the host are the same one.
func (f *Finding) same(other Finding) bool {
	return other.host && other.Rule == f.Rule && other.Title == f.Title
}
