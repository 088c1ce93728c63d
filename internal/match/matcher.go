package match

// matcher takes from two lists what fits, step by step: what an earlier step took, no later one
// gives to another.
type matcher struct {
	here  []Match // by the place in the list of here; By is 0 where there is none yet
	there []bool  // taken
}

func newMatcher(here, there int) *matcher {
	return &matcher{here: make([]Match, here), there: make([]bool, there)}
}

// join matches what a step proposes, if it fits. A proposal that disagrees with another one of
// the same step is none, so that the order of proposals does not matter.
func (m *matcher) join(by By, propose func(take func(a, b int)), fits func(a, b int) bool) {
	forward, back := map[int]int{}, map[int]int{}
	propose(func(a, b int) {
		if m.here[a].By != 0 || m.there[b] || !fits(a, b) {
			return
		}
		put(forward, a, b)
		put(back, b, a)
	})
	for a, b := range forward {
		if b != several && back[b] == a {
			m.here[a], m.there[b] = Match{a, b, by}, true
		}
	}
}

// ends returns what was matched, and what was not.
func (m *matcher) ends() (e Ends) {
	for i, match := range m.here {
		if match.By != 0 {
			e.Both = append(e.Both, match)
		} else {
			e.OnlyHere = append(e.OnlyHere, i)
		}
	}
	for i, taken := range m.there {
		if !taken {
			e.OnlyThere = append(e.OnlyThere, i)
		}
	}
	return e
}
