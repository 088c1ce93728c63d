package export

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"mptcpctl/internal/present"
)

// kind is the type of a metric family.
type kind string

const (
	gauge     kind = "gauge"
	counter   kind = "counter"
	histogram kind = "histogram"
)

// labels are the values of a family's labels, in their order; the rest is empty.
type labels [5]string

// family is a metric with all its series. Labels are rendered when it is written, and
// not when something is added: there are far more additions than series.
type family struct {
	name, help string
	kind       kind
	labels     []string
	series     map[labels]float64
	spread     map[labels]*spread // of a histogram
}

func newFamily(k kind, name, help string, names ...string) *family {
	return &family{
		name: name, help: help, kind: k, labels: names,
		series: make(map[labels]float64), spread: make(map[labels]*spread),
	}
}

// set gives a series its value, add adds to it. The values are those of the labels,
// in their order.
func (f *family) set(value float64, values ...string) { f.series[f.key(values)] = value }

func (f *family) add(value float64, values ...string) { f.series[f.key(values)] += value }

// forget drops the series whose first label has that value.
func (f *family) forget(first string) {
	maps.DeleteFunc(f.series, func(key labels, _ float64) bool { return key[0] == first })
	maps.DeleteFunc(f.spread, func(key labels, _ *spread) bool { return key[0] == first })
}

func (f *family) key(values []string) (key labels) {
	if len(values) != len(f.labels) {
		panic("export: " + f.name + ": values for other labels") // a mistake of this package
	}
	copy(key[:], values)
	return key
}

// render returns the labels of a series as they are written. Values may be foreign:
// whatever they are, the text stays one line.
func (f *family) render(key labels) string {
	var b []byte
	for i, label := range f.labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendLabel(b, label, key[i])
	}
	return string(b)
}

func appendLabel(b []byte, label, value string) []byte {
	b = append(append(b, label...), `="`...)
	value = present.EscapeControls(strings.ToValidUTF8(value, "\uFFFD"))
	for i := range len(value) {
		switch value[i] {
		case '\\', '"':
			b = append(b, '\\', value[i])
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, value[i])
		}
	}
	return append(b, '"')
}

// spread is one series of a histogram.
type spread struct {
	bounds []float64
	counts []uint64 // one more than bounds
	sum    float64
}

func newSpread(bounds []float64) *spread {
	return &spread{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

// observe counts one value.
func (s *spread) observe(value float64) {
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
	for _, one := range inOrder(f, f.series) {
		b = appendSeries(b, f.name, one.labels, one.value)
	}
	for _, one := range inOrder(f, f.spread) {
		b = one.value.append(b, f.name, one.labels)
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

// rendered is a series with its labels as they are written.
type rendered[V any] struct {
	labels string
	value  V
}

// inOrder returns the series in the order of their rendered labels.
func inOrder[V any](f *family, series map[labels]V) []rendered[V] {
	out := make([]rendered[V], 0, len(series))
	for key, value := range series {
		out = append(out, rendered[V]{f.render(key), value})
	}
	slices.SortFunc(out, func(a, b rendered[V]) int { return strings.Compare(a.labels, b.labels) })
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
