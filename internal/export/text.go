package export

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// kind is the type of a metric family.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// family is a metric with all its series.
type family struct {
	name, help string
	kind       kind
	labels     []string
	series     map[string]float64 // by rendered labels
	spread     map[string]*spread // of a histogram
}

func newFamily(k kind, name, help string, labels ...string) *family {
	return &family{name: name, help: help, kind: k, labels: labels, series: make(map[string]float64), spread: make(map[string]*spread)}
}

// set gives a series its value, add adds to it. The values are those of the labels,
// in their order.
func (f *family) set(value float64, values ...string) { f.series[f.key(values)] = value }

func (f *family) add(value float64, values ...string) { f.series[f.key(values)] += value }

// forget drops the series whose first label has that value.
func (f *family) forget(first string) {
	prefix := appendLabel(nil, f.labels[0], first)
	gone := func(key string) bool {
		rest, ok := strings.CutPrefix(key, string(prefix))
		return ok && (rest == "" || rest[0] == ',')
	}
	maps.DeleteFunc(f.series, func(key string, _ float64) bool { return gone(key) })
	maps.DeleteFunc(f.spread, func(key string, _ *spread) bool { return gone(key) })
}

// key renders the labels of a series. Values may be foreign: whatever they are, the
// text stays one line.
func (f *family) key(values []string) string {
	if len(values) != len(f.labels) {
		panic("export: " + f.name + ": values for other labels") // a mistake of this package
	}
	if len(values) == 0 {
		return ""
	}
	var b []byte
	for i, label := range f.labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLabel(b, label, values[i])
	}
	return string(b)
}

func appendLabel(b []byte, label, value string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	b = append(append(b, label...), `="`...)
	b = append(b, escape.Replace(strings.ToValidUTF8(value, "\uFFFD"))...)
	return append(b, '"')
}

// spread is one series of a histogram.
type spread struct {
	bounds []float64
	counts []uint64 // one more than bounds
	sum    float64
}

func (f *family) observe(bounds []float64, value float64, values ...string) {
	key := f.key(values)
	s := f.spread[key]
	if s == nil {
		s = &spread{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
		f.spread[key] = s
	}
	i, _ := slices.BinarySearch(s.bounds, value)
	s.counts[i]++
	s.sum += value
}

// append appends the family in the text format; one without series is left out.
func (f *family) append(b []byte) []byte {
	if len(f.series)+len(f.spread) == 0 {
		return b
	}
	help := strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(f.help)
	b = fmt.Appendf(b, "# HELP %s %s\n# TYPE %s %s\n", f.name, help, f.name, f.kind)
	for _, key := range sortedKeys(f.series) {
		b = appendSeries(b, f.name, key, f.series[key])
	}
	for _, key := range sortedKeys(f.spread) {
		b = f.spread[key].append(b, f.name, key)
	}
	return b
}

func (s *spread) append(b []byte, name, key string) []byte {
	within := uint64(0)
	prefix := key
	if prefix != "" {
		prefix += ","
	}
	for i, n := range s.counts {
		within += n
		bound := math.Inf(1)
		if i < len(s.bounds) {
			bound = s.bounds[i]
		}
		b = appendSeries(b, name+"_bucket", prefix+`le="`+number(bound)+`"`, float64(within))
	}
	b = appendSeries(b, name+"_sum", key, s.sum)
	return appendSeries(b, name+"_count", key, float64(within))
}

func appendSeries(b []byte, name, key string, value float64) []byte {
	b = append(b, name...)
	if key != "" {
		b = append(b, '{')
		b = append(b, key...)
		b = append(b, '}')
	}
	b = append(b, ' ')
	b = append(b, number(value)...)
	return append(b, '\n')
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
