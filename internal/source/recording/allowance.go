package recording

import (
	"errors"
	"fmt"
)

// ErrInflated says that a file would cost far more memory than its size lets expect.
var ErrInflated = errors.New("what it holds is out of proportion to its size")

// An Allowance bounds the memory that a foreign file may cost, in the order of the
// file's size: a few kilobytes that gzip packed may unpack to gigabytes, and two bytes
// of JSON may become a record of a kilobyte. What is unpacked, and what is made of it,
// is spent before it is held.
type Allowance struct {
	size  func() int64
	spent int64
}

// A file may cost so much, and so many times its size. The project's own recordings,
// compressed, cost less than half of that.
const (
	allowanceBase   = 64 << 20
	allowanceFactor = 100
)

// What the parts of a recording cost in memory, rounded up, beside their bytes.
const (
	costInterface = 4 << 10 // with its namespace in a tracker
	costPacket    = 128
	costEvent     = 128
	costSocket    = 256
	costSnapshot  = 6 << 10 // with what a replay makes of it
	costObject    = 256     // of JSON
	costValue     = 24      // in an object or a list
)

// NewAllowance makes the allowance of a file. size returns how many of its bytes were
// read so far, as they lie on the disk.
func NewAllowance(size func() int64) *Allowance { return &Allowance{size: size} }

// Spend takes so many bytes from what is left. The error is [ErrInflated] where there
// are not so many.
func (a *Allowance) Spend(bytes int) error {
	a.spent += int64(bytes)
	size := a.size()
	if limit := allowanceBase + allowanceFactor*size; a.spent > limit {
		return fmt.Errorf("%w: %d bytes of it would take more than %d MiB of memory", ErrInflated, size, limit>>20)
	}
	return nil
}

// SpendJSON takes what the text costs when it is decoded.
func (a *Allowance) SpendJSON(text []byte) error {
	cost, quoted := len(text), false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{':
			cost += costObject
		case c == ',' || c == '[':
			cost += costValue
		}
	}
	return a.Spend(cost)
}
