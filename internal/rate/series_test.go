package rate

import (
	"net/netip"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

func TestSeriesWaitsForFiguresThatMove(t *testing.T) {
	f := []mptcp.Subflow{{Local: netip.MustParseAddrPort("10.0.0.1:1"), Remote: netip.MustParseAddrPort("10.0.0.2:2")}}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s := &Series{}
	for _, step := range []struct {
		at   time.Duration
		sent uint64
		want []float64
	}{
		{0, 0, nil},
		{100 * time.Millisecond, 1000, nil}, // too soon
		{time.Second, 2000, []float64{2000}},
		{1900 * time.Millisecond, 2000, []float64{2000}}, // nothing moved yet
		{3 * time.Second, 2000, []float64{2000, 0}},
		{4 * time.Second, 500, []float64{2000, 0, 0}},
	} {
		f[0].BytesSent = step.sent
		s.Observe(noon.Add(step.at), f)
		got := s.Of(&f[0]).Out
		if len(got) != len(step.want) || len(got) > 0 && Last(got) != Last(step.want) {
			t.Errorf("after %v: %v, want %v", step.at, got, step.want)
		}
	}
}

func TestRowsAreBounded(t *testing.T) {
	var values []float64
	for i := range Samples + 10 {
		values = Push(values, float64(i))
	}
	if len(values) != Samples || values[0] != 10 || Last(values) != Samples+9 {
		t.Errorf("%d values from %v to %v", len(values), values[0], Last(values))
	}
	if Last(nil) != 0 || Rise(5, 3) != 0 || Rise(3, 5) != 2 {
		t.Error("a counter that fell, or no value, must be 0")
	}
}
