package whole

import (
	"testing"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/history"
)

// TestGaps has observers come and go, and asks when there was none.
func TestGaps(t *testing.T) {
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	begin := func(minute int, run string) chronicle.Line {
		object := []byte(`{"schema":1,"run":"` + run + `"}`)
		return chronicle.Line{Time: noon.Add(time.Duration(minute) * time.Minute), Kind: chronicle.KindBegin, Object: object}
	}
	other := func(minute int, kind chronicle.Kind) chronicle.Line {
		return chronicle.Line{Time: noon.Add(time.Duration(minute) * time.Minute), Kind: kind}
	}
	for name, c := range map[string]struct {
		from, to int // minutes; no from for a negative one
		lines    []chronicle.Line
		want     []int // begin and end of each gap, in minutes
	}{
		"one observer, one file": {5, 50, []chronicle.Line{begin(0, "a"), other(40, chronicle.KindEvent)}, nil},
		"one observer, idle for an hour": {
			30, 70, []chronicle.Line{begin(0, "a"), begin(60, "a")}, nil,
		},
		"it begins in the span":  {0, 50, []chronicle.Line{begin(20, "a")}, []int{0, 20}},
		"no beginning asked for": {-1, 50, []chronicle.Line{begin(20, "a")}, nil},
		"it ends in the span": {
			5, 50, []chronicle.Line{begin(0, "a"), other(30, chronicle.KindStop)}, []int{30, 50},
		},
		"it was killed, and another one came": {
			5, 50, []chronicle.Line{begin(0, "a"), other(10, chronicle.KindEvent), begin(25, "b")}, []int{10, 25},
		},
		"it was killed before the span": {
			20, 50, []chronicle.Line{begin(0, "a"), other(10, chronicle.KindEvent), begin(25, "b")}, []int{20, 25},
		},
		"it was killed and nobody came": {5, 150, []chronicle.Line{begin(0, "a"), other(10, chronicle.KindEvent)}, []int{10, 150}},
		"started anew at once": {
			5, 50, []chronicle.Line{begin(0, "a"), other(10, chronicle.KindStop), begin(10, "b")}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := gaps{span: history.Span{To: noon.Add(time.Duration(c.to) * time.Minute)}}
			if c.from >= 0 {
				g.span.From = noon.Add(time.Duration(c.from) * time.Minute)
			}
			for i := range c.lines {
				if err := g.take(&c.lines[i]); err != nil {
					t.Fatal(err)
				}
			}
			unseen := g.end()
			var got []int
			for _, s := range g.empty {
				got = append(got, int(s.From.Sub(noon).Minutes()), int(s.To.Sub(noon).Minutes()))
			}
			if len(got) != len(c.want) || len(unseen) != len(got)/2 {
				t.Fatalf("%v, want %v; %v", got, c.want, unseen)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("%v, want %v", got, c.want)
				}
			}
		})
	}
}

// TestManyGaps are told in a few lines.
func TestManyGaps(t *testing.T) {
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	g := gaps{span: history.Span{To: noon.Add(24 * time.Hour)}}
	for i := range 20 {
		g.note(noon.Add(time.Duration(i)*time.Minute), noon.Add(time.Duration(i)*time.Minute+30*time.Second))
	}
	unseen := g.end()
	if last := unseen[len(unseen)-1]; len(unseen) != 6 || last.What != "15 further spans, 7m30s in all" {
		t.Errorf("%d: %v", len(unseen), unseen)
	}
}
