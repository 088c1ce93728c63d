package main

import "testing"

func TestTable(t *testing.T) {
	figures := newTable("ms", "ip")
	for round, ip := range []float64{2, 4, 1000} {
		figures.add("one", "ip", ip)
		figures.add("one", "ours", ip/2)
		figures.add("two", "ours", float64(round))
	}
	want := `|  | program | ms: median (least … most) | of ip |
|---|---|---|---|
| one | ip | 4.00 (2.00 … 1000) | 1.00 |
| one | ours | 2.00 (1.00 … 500) | 0.50 |
| two | ours | 1.00 (0 … 2.00) | — |
`
	if got := figures.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := figures.ratio("one", "nobody", "ip"); got.n != 0 || got.String() != "—" {
		t.Errorf("ratio of nobody: %v", got)
	}
}

func TestTableWithoutLoads(t *testing.T) {
	figures := newTable("bytes", "")
	figures.add("", "b", 0.001234)
	figures.add("", "a", 12.34)
	want := `| program | bytes: median (least … most) |
|---|---|
| a | 12.3 |
| b | 0.0012 |
`
	if got := figures.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		figures []float64
		want    float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1}, 5},
		{[]float64{9, 1, 2}, 2},
	} {
		if got := median(test.figures); got != test.want {
			t.Errorf("median of %v: %v", test.figures, got)
		}
	}
}
