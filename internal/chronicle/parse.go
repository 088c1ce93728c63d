package chronicle

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrFormat says that a text is no line of a history: errors of [Parse] wrap it.
var ErrFormat = errors.New("no line of a history")

// Parse reads a line, with or without its line break. What it does not know is skipped; the
// line's object is kept as it stands, and its inside is not looked at further than to find
// its end. The line is valid as long as the text is.
func Parse(text []byte) (Line, error) {
	var l Line
	var objects members
	r := reader{rest: text}
	err := r.object(func(key, value []byte) error {
		switch string(key) {
		case "seq":
			return l.number(value)
		case "t":
			return l.time(value)
		case "kind":
			return l.kind(value)
		case "pair":
			name, err := unquoted(value)
			if err != nil {
				return err
			}
			return l.Pair.UnmarshalText(name)
		}
		objects.put(key, value)
		return nil
	})
	if err == nil {
		err = r.end()
	}
	switch {
	case err != nil:
	case l.Seq == 0:
		err = errors.New("no seq")
	case l.Kind == "":
		err = errors.New("no kind")
	case l.Time.IsZero():
		err = errors.New("no t")
	}
	if err != nil {
		return Line{}, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	l.Object = objects.get(string(l.Kind))
	return l, nil
}

// members are the members of the envelope that are not the envelope's own: the last four,
// of which one has the name of the kind.
type members struct {
	keys, values [4][]byte
	n            int
}

func (m *members) put(key, value []byte) {
	i := m.n % len(m.keys)
	m.keys[i], m.values[i] = key, value
	m.n++
}

func (m *members) get(key string) []byte {
	for i := range m.keys {
		if string(m.keys[i]) == key && m.values[i] != nil {
			return m.values[i]
		}
	}
	return nil
}

func (l *Line) number(value []byte) (err error) {
	l.Seq, err = strconv.ParseUint(string(value), 10, 64)
	return err
}

func (l *Line) time(value []byte) error {
	text, err := unquoted(value)
	if err != nil {
		return err
	}
	l.Time, err = time.Parse(time.RFC3339Nano, string(text))
	return err
}

// longestKind is the length of the longest name of a kind.
const longestKind = 32

func (l *Line) kind(value []byte) error {
	text, err := unquoted(value)
	if err != nil {
		return err
	}
	if len(text) > longestKind || len(bytes.Trim(text, "abcdefghijklmnopqrstuvwxyz_")) > 0 {
		return fmt.Errorf("kind %q", text)
	}
	l.Kind = Kind(text)
	return nil
}

// unquoted returns the inside of a string that needs no escapes: those of the envelope have
// none.
func unquoted(value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 {
		return nil, fmt.Errorf("%.40q where a plain string belongs", value)
	}
	return value[1 : len(value)-1], nil
}
