package chronicle

import (
	"bytes"
	"fmt"
	"strconv"
)

// Books count the lines of a range, which are added in their order. The zero value is an
// empty range.
type Books struct {
	First, Last uint64 // numbers of the first and the last line that is known of
	Lines       uint64 // lines that are there
	Lost        uint64 // lines that lines of the kind lost account for
	Missing     uint64 // lines that nothing accounts for: a file was damaged, or has gone
	Backward    uint64 // lines whose number is not above that before: another history was mixed in
}

// Expect says that the next lines begin with this number, whether they can be read or not.
// Those between the last line and it are missing.
func (b *Books) Expect(first uint64) {
	switch {
	case first == 0:
	case b.First == 0:
		b.First, b.Last = first, first-1
	case first > b.Last+1:
		b.Missing += first - b.Last - 1
		b.Last = first - 1
	}
}

// Add adds a line and returns what is wrong with it: nil, or an error that says how many
// lines before it are missing.
func (b *Books) Add(l *Line) error {
	lost := uint64(0)
	if l.Kind == KindLost {
		gap, err := ParseGap(l.Object)
		if err != nil {
			return err
		}
		lost = gap.Lines
	}
	if b.First == 0 { // what was lost before the first line of the range is no part of it
		b.First, b.Last, b.Lines = l.Seq, l.Seq, 1
		return nil
	}
	if l.Seq <= b.Last {
		b.Backward++
		return fmt.Errorf("line %d stands behind line %d", l.Seq, b.Last)
	}
	between := l.Seq - b.Last - 1
	b.Last = l.Seq
	b.Lines++
	b.Lost += min(lost, between)
	if missing := between - min(lost, between); missing > 0 {
		b.Missing += missing
		return fmt.Errorf("%d lines before line %d are missing", missing, l.Seq)
	}
	return nil
}

// ParseGap reads the object of a line of the kind lost.
func ParseGap(object []byte) (g Gap, err error) {
	r := reader{rest: object}
	err = r.object(func(key, value []byte) error {
		var err error
		switch string(key) {
		case "lines":
			g.Lines, err = strconv.ParseUint(string(value), 10, 64)
		case "where":
			var text []byte
			text, err = unquoted(value)
			g.Where = string(bytes.ToValidUTF8(text, nil))
		}
		return err
	})
	if err != nil {
		return Gap{}, fmt.Errorf("%w: lost: %w", ErrFormat, err)
	}
	return g, nil
}
