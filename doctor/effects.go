package doctor

import (
	"maps"
	"slices"

	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// namespaceWide are the rules whose cause is one for the whole namespace, though it
// shows in each connection.
var namespaceWide = [...]rule.ID{rule.SocketOption, rule.Blackhole, rule.DataChanged, rule.ShortOfMemory}

// damageOrLoss leaves one of D38 and D39: data that checksums find damaged loses its
// mapping as well; without them what is known to lose MPTCP is not told to be damaged.
func damageOrLoss(found []Finding) []Finding {
	is := func(id rule.ID) func(Finding) bool { return func(f Finding) bool { return f.Rule == id } }
	damage, loss := slices.IndexFunc(found, is(rule.DataChanged)), slices.IndexFunc(found, is(rule.OptionStripped))
	if damage < 0 || loss < 0 {
		return found
	}
	cause, effect := damage, rule.OptionStripped
	if found[damage].Confidence < track.Certain {
		cause, effect = loss, rule.DataChanged
	}
	for i := range found {
		if found[i].Rule == effect {
			found[cause].absorb(&found[i])
		}
	}
	return slices.DeleteFunc(found, is(effect))
}

// withoutTwins leaves one finding of each cause that the namespace has as a whole:
// the one that is about no connection takes in those that are.
func withoutTwins(found []Finding) []Finding {
	for _, id := range namespaceWide {
		whole := slices.IndexFunc(found, func(f Finding) bool { return f.Rule == id && len(f.tokens) == 0 })
		if whole < 0 {
			continue
		}
		for i := range found {
			if i != whole && found[i].Rule == id {
				found[whole].absorb(&found[i])
			}
		}
		only := found[whole]
		found = slices.DeleteFunc(found, func(f Finding) bool { return f.Rule == id })
		found = append(found, only)
	}
	return found
}

// withoutEffects leaves out findings that another one explains, and gives that one
// their evidence: a cause is as bad as its effects, and concerns their connections.
// Of a finding about several connections those stay that no cause is about.
func withoutEffects(found []Finding) []Finding {
	causes, byRule := map[rule.ID][]rule.ID{}, map[rule.ID][]int{}
	for cause, effects := range rule.Effects() {
		for _, effect := range effects {
			causes[effect] = append(causes[effect], cause)
		}
	}
	for i := range found {
		byRule[found[i].Rule] = append(byRule[found[i].Rule], i)
	}
	after := slices.Clone(found)
	explained := make([]bool, len(found))
	for i := range found {
		for _, cause := range causes[found[i].Rule] {
			for _, j := range byRule[cause] {
				if meant(&found[j], &found[i]) {
					after[j].absorb(&found[i])
					after[j].join(&found[i])
					explained[i] = true
				} else if concerns(&found[j], &found[i]) {
					after[j].absorb(&found[i])
					explained[i] = after[i].without(&found[j]) || explained[i]
				}
			}
		}
	}
	var kept []Finding
	for i := range after {
		if !explained[i] {
			kept = append(kept, after[i])
		}
	}
	return kept
}

// concerns reports whether the cause is about what the effect is about: the same
// endpoint if it is about one, and one of the same connections if it is about
// some.
func concerns(cause, effect *Finding) bool {
	if cause.Subject.Endpoint.IsValid() && cause.Subject.Endpoint != effect.Subject.Endpoint {
		return false
	}
	if len(cause.tokens) == 0 || len(effect.tokens) == 0 {
		return len(cause.tokens) == 0
	}
	for t := range effect.tokens {
		if cause.Concerns(t) {
			return true
		}
	}
	return false
}

// meant reports whether the effect says by itself that it may be the cause, and the
// cause was seen on the same endpoint: by the events of another connection.
func meant(cause, effect *Finding) bool {
	return cause.Subject.Endpoint.IsValid() && cause.Subject.Endpoint == effect.Subject.Endpoint &&
		slices.Contains(effect.Alternatives, cause.Rule)
}

// join makes the finding one about the connections of the other one as well.
func (f *Finding) join(other *Finding) {
	tokens := maps.Clone(f.tokens)
	maps.Copy(tokens, other.tokens)
	f.tokens = tokens
	f.count()
}

// absorb takes over what an effect of the finding shows.
func (f *Finding) absorb(effect *Finding) {
	wide := len(f.tokens) == 0 || f.Subject.Token == 0 && f.Subject.Connections == 0
	f.Severity = max(f.Severity, effect.Severity)
	f.Evidence = merged(f.Evidence, effect.Evidence)
	if wide {
		tokens := make(map[mptcp.Token]struct{}, len(f.tokens)+len(effect.tokens))
		maps.Copy(tokens, f.tokens)
		maps.Copy(tokens, effect.tokens)
		f.tokens = tokens
	}
}

// without takes the connections out that the cause is about, and reports whether
// nothing is left.
func (f *Finding) without(cause *Finding) bool {
	if len(cause.tokens) == 0 {
		return true
	}
	left := map[mptcp.Token]struct{}{}
	for t := range f.tokens {
		if !cause.Concerns(t) {
			left[t] = struct{}{}
		}
	}
	f.tokens = left
	f.count()
	return len(left) == 0
}

// count enters the connections that the finding is about into its subject.
func (f *Finding) count() {
	f.Subject.Token, f.Subject.Connections = 0, 0
	if len(f.tokens) > 1 {
		f.Subject.Connections = len(f.tokens)
		return
	}
	for t := range f.tokens {
		f.Subject.Token = t
	}
}

// merged returns the lines of both without repetition, in a slice of its own.
func merged(a, b []string) []string {
	lines := slices.Clone(a)
	for _, line := range b {
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}
