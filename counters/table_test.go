package counters

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mptcpctl/mptcp"
)

// format writes a table as the kernel does.
func format(table string, v Values) string {
	var b strings.Builder
	b.WriteString(table)
	for name := range v.All() {
		b.WriteString(" " + name)
	}
	b.WriteString("\n" + table)
	for _, value := range v.All() {
		fmt.Fprintf(&b, " %d", value)
	}
	return b.String() + "\n"
}

// kernelNames returns the names of the MPTcpExt counters of some kernels.
func kernelNames(t testing.TB) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("testdata/names/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no lists of names: %v", err)
	}
	names := map[string][]string{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		names[strings.TrimSuffix(filepath.Base(f), ".txt")] = strings.Fields(string(text))
	}
	return names
}

func TestParseTableOfEveryKernel(t *testing.T) {
	want := map[string]int{"6.1": 56, "6.12": 75, "6.18": 76, "7.3": 86}
	for kernel, names := range kernelNames(t) {
		v := Values{names: names, values: make([]uint64, len(names))}
		for i := range v.values {
			v.values[i] = uint64(i) * 1e15
		}
		// As in the whole file: other tables before and after, some of them broken.
		text := "TcpExt: A B\nTcpExt: 1 2\nOdd: 1\n" + format(tableMPTCP, v) + "More: x y z\n"
		got, err := ParseTable(text, tableMPTCP)
		if err != nil {
			t.Fatalf("%s: %v", kernel, err)
		}
		if got.Len() != want[kernel] || !slices.Equal(got.Names(), names) || !slices.Equal(got.values, v.values) {
			t.Errorf("%s: got %d counters in another order or with other values", kernel, got.Len())
		}
	}
}

func TestParseTable(t *testing.T) {
	for name, tt := range map[string]struct {
		text         string
		want         map[string]uint64
		notSupported bool
		fault        string
	}{
		"simple":           {text: "MPTcpExt: A B\nMPTcpExt: 1 18446744073709551615\n", want: map[string]uint64{"A": 1, "B": 1<<64 - 1}},
		"negative setting": {text: "MPTcpExt: MaxConn\nMPTcpExt: -1\n", want: map[string]uint64{"MaxConn": 1<<64 - 1}},
		"no line end":      {text: "MPTcpExt: A\nMPTcpExt: 7", want: map[string]uint64{"A": 7}},
		"no counters":      {text: "MPTcpExt:\nMPTcpExt:\n", want: map[string]uint64{}},
		"absent":           {text: "TcpExt: A\nTcpExt: 1\n", notSupported: true},
		"empty":            {text: "", notSupported: true},
		"no values":        {text: "MPTcpExt: A\n", fault: "no values"},
		"too few values":   {text: "MPTcpExt: A B\nMPTcpExt: 1\n", fault: "2 names and 1 values"},
		"no number":        {text: "MPTcpExt: A\nMPTcpExt: one\n", fault: `"one"`},
		"too great":        {text: "MPTcpExt: A\nMPTcpExt: 18446744073709551616\n", fault: "for a number"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := ParseTable(tt.text, tableMPTCP)
			if got := errors.Is(err, mptcp.ErrNotSupported); got != tt.notSupported {
				t.Fatalf("error %v, not supported %v", err, got)
			}
			if tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)) {
				t.Fatalf("error %v, want %q", err, tt.fault)
			}
			if got := maps.Collect(v.All()); tt.want != nil && (err != nil || !maps.Equal(got, tt.want)) {
				t.Fatalf("got %v, %v", got, err)
			}
			if err != nil && v.Len() != 0 {
				t.Fatalf("error and %d values", v.Len())
			}
		})
	}
}

func FuzzParseTable(f *testing.F) {
	if live, err := os.ReadFile("/proc/net/netstat"); err == nil {
		f.Add(string(live))
	}
	for _, names := range kernelNames(f) {
		f.Add(format(tableMPTCP, Values{names: names, values: make([]uint64, len(names))}))
	}
	f.Add("MPTcpExt: A B\nMPTcpExt: -1\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseTable(text, tableMPTCP)
		if err != nil {
			if v.Len() != 0 {
				t.Fatalf("error %v and %d values", err, v.Len())
			}
			return
		}
		again, err := ParseTable(format(tableMPTCP, v), tableMPTCP)
		if err != nil || !slices.Equal(v.names, again.names) || !slices.Equal(v.values, again.values) {
			t.Fatalf("%v formatted and parsed again is %v, %v", v, again, err)
		}
	})
}

func TestSince(t *testing.T) {
	before := FromMap(map[string]uint64{"MPJoinSynRx": 3, "MPRstRx": 9, "MPCurrEstab": 8, "Gone": 4})
	now := FromMap(map[string]uint64{"MPJoinSynRx": 10, "MPRstRx": 2, "MPCurrEstab": 5, "New": 6})
	want := map[string]uint64{
		"MPJoinSynRx": 7,
		"MPRstRx":     2, // fell: counted from zero again
		"MPCurrEstab": 5, // a gauge
		"New":         6,
	}
	delta := now.Since(before)
	if got := maps.Collect(delta.All()); !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n, _ := now.Get("MPJoinSynRx"); n != 10 {
		t.Errorf("Since changed its receiver: %d", n)
	}
	if got := now.Since(now).Moved().Names(); !slices.Equal(got, []string{"MPCurrEstab"}) {
		t.Errorf("nothing happened, and moved: %v", got)
	}
	if _, ok := delta.Get("Gone"); ok {
		t.Error("a counter that the kernel has no more is in the difference")
	}
}

func TestValuesJSON(t *testing.T) {
	v := Values{names: []string{"Z", "A"}, values: []uint64{1, 1<<64 - 1}}
	text, err := json.Marshal(v)
	if err != nil || string(text) != `{"Z":1,"A":18446744073709551615}` {
		t.Fatalf("%s, %v", text, err)
	}
	var back Values
	if err := json.Unmarshal(text, &back); err != nil || !maps.Equal(maps.Collect(back.All()), maps.Collect(v.All())) {
		t.Fatalf("%v, %v", back, err)
	}
}
