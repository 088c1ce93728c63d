package present

import (
	"io"
	"strconv"

	"mptcpctl/counters"
)

// CounterText renders counters with their meaning, one line each.
type CounterText struct {
	Colors  Palette
	All     bool   // also those that are zero
	Details bool   // also what to do, below those that tell of trouble
	Sign    bool   // values are differences: "+3"
	Netns   string // the network namespace, at the end of each line; "" for the reader's own
}

// Append appends the lines of the counters.
func (f *CounterText) Append(b []byte, values counters.Values) []byte {
	for name, value := range values.All() {
		if value == 0 && !f.All {
			continue
		}
		b = f.appendCounter(b, name, value)
	}
	return b
}

// Write writes the lines of the counters to w.
func (f *CounterText) Write(w io.Writer, values counters.Values) error {
	_, err := w.Write(f.Append(nil, values))
	return err
}

const (
	counterNameWidth  = 26
	counterValueWidth = 12
)

func (f *CounterText) appendCounter(b []byte, name string, value uint64) []byte {
	d, known := counters.Describe(name)
	mark := byte(' ')
	if d.Trouble {
		mark = '!'
	}
	if d.Trouble && value != 0 {
		b = append(b, f.Colors.Warn...)
	}
	b = append(b, mark, ' ')
	b = appendPadded(b, Escape(name), counterNameWidth)
	number := strconv.FormatUint(value, 10)
	if f.Sign && !d.Gauge {
		number = "+" + number
	}
	for range counterValueWidth - len(number) {
		b = append(b, ' ')
	}
	b = append(b, number...)
	if d.Trouble && value != 0 {
		b = append(b, f.Colors.Reset...)
	}
	b = append(b, "  "...)
	if known {
		b = append(b, d.Meaning...)
	} else {
		b = append(b, "a counter that this version of mptcpctl does not know"...)
	}
	if f.Netns != "" {
		b = append(append(append(b, " [netns "...), Escape(f.Netns)...), ']')
	}
	b = append(b, '\n')
	if f.Details && d.Trouble && value != 0 && d.Advice != "" {
		b = appendPadded(b, "", counterNameWidth+counterValueWidth+4)
		b = append(b, f.Colors.Dim...)
		b = append(b, d.Advice...)
		b = append(b, f.Colors.Reset...)
		b = append(b, '\n')
	}
	return b
}

// appendPadded appends s and blanks up to the width.
func appendPadded(b []byte, s string, width int) []byte {
	b = append(b, s...)
	for n := len([]rune(s)); n < width; n++ {
		b = append(b, ' ')
	}
	return b
}

// Counter is a counter with its meaning, for JSON.
type Counter struct {
	Name    string `json:"name"`
	Value   uint64 `json:"value"`
	Meaning string `json:"meaning,omitempty"`
	Trouble bool   `json:"trouble"`
	Gauge   bool   `json:"gauge"`
	Advice  string `json:"advice,omitempty"`
	Netns   string `json:"netns,omitempty"` // "" for the reader's own
}

// CounterObjects returns the counters with their meanings.
func CounterObjects(values counters.Values) []Counter { return CounterObjectsOf("", values) }

// CounterObjectsOf returns the counters of a network namespace with their meanings.
func CounterObjectsOf(netns string, values counters.Values) []Counter {
	objects := make([]Counter, 0, values.Len())
	for name, value := range values.All() {
		d, _ := counters.Describe(name)
		objects = append(objects, Counter{name, value, d.Meaning, d.Trouble, d.Gauge, d.Advice, netns})
	}
	return objects
}
