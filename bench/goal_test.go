package main

import "testing"

func TestGoal(t *testing.T) {
	for _, test := range []struct {
		goal    goal
		met     bool
		verdict string
	}{
		{goal{bound: 0.45, measured: spreadOf([]float64{0.2, 0.45, 9})}, true, "met"},
		{goal{bound: 0.45, measured: spreadOf([]float64{0.4545})}, true, "met"}, // shows as 0.45
		{goal{bound: 0.40, measured: spreadOf([]float64{0.5})}, false, "**missed** by 25 %"},
		{goal{bound: 0, measured: spreadOf([]float64{0, 0})}, true, "met"},
		{goal{bound: 0, measured: spreadOf([]float64{0.0001})}, false, "**missed**"},
		{goal{bound: 160_000, atLeast: true, measured: spreadOf([]float64{160_000})}, true, "met"},
		{goal{bound: 160_000, atLeast: true, measured: spreadOf([]float64{80_000})}, false, "**missed** by 50 %"},
		{goal{bound: 1}, false, "not measured"},
	} {
		if got := test.goal.verdict(); got != test.verdict {
			t.Errorf("%+v: %s, want %s", test.goal, got, test.verdict)
		}
		if got := test.goal.measured.n > 0 && test.goal.met(); got != test.met {
			t.Errorf("%+v: met: %v", test.goal, got)
		}
	}
}
