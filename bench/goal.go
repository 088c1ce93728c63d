package main

import "fmt"

// goal is what the project has set itself, and what this run measured of it.
type goal struct {
	what     string
	bound    float64
	unit     string // behind the figures: " of ip", " bytes"
	atLeast  bool   // the bound is the least that is wanted, not the most
	measured spread // judged by its median
}

// met reports whether the measured is as good as was wanted. Both are compared as
// they are shown.
func (g goal) met() bool {
	if g.atLeast {
		return g.measured.median >= g.bound
	}
	return short(g.measured.median) == short(g.bound) || g.measured.median <= g.bound
}

// verdict returns "met", or by how much the goal was missed.
func (g goal) verdict() string {
	switch {
	case g.measured.n == 0:
		return "not measured"
	case g.met():
		return "met"
	case g.bound == 0:
		return "**missed**"
	}
	off := g.measured.median/g.bound - 1
	if g.atLeast {
		off = -off
	}
	return fmt.Sprintf("**missed** by %.0f %%", 100*off)
}

// cells returns the goal as a line of a table.
func (g goal) cells() []string {
	most := "at most "
	switch {
	case g.atLeast:
		most = "at least "
	case g.bound == 0:
		most = ""
	}
	return []string{g.what, most + short(g.bound) + g.unit, g.measured.String(), g.verdict()}
}
