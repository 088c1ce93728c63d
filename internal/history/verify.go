package history

import (
	"context"
	"errors"

	"mptcpctl/internal/chronicle"
)

// Report is what the books of a history say.
type Report struct {
	Files   int             `json:"files"`
	Bytes   int64           `json:"bytes"` // on the disk
	Books   chronicle.Books `json:"books"`
	Damaged []Damage        `json:"-"`
}

// Verify reads all files and compares the numbers of their lines with what the names of the
// files promise.
func (r *Reader) Verify(ctx context.Context) (*Report, error) {
	list, err := r.Files()
	if err != nil {
		return nil, err
	}
	report := &Report{Files: len(list)}
	b := &report.Books
	for i := range list {
		f := &list[i]
		report.Bytes += f.Size
		b.Expect(f.First)
		for l, err := range r.FileLines(ctx, f) {
			var damage *Damage
			switch {
			case errors.As(err, &damage):
				report.note(damage)
			case err != nil:
				return nil, err
			case l.Seq < f.First || f.Last != 0 && l.Seq > f.Last:
				report.note(&Damage{f.Name, errOutside})
			default:
				_ = b.Add(&l) // what is wrong is in the books
			}
		}
		if f.Last > 0 {
			b.Expect(f.Last + 1)
		}
	}
	return report, ctx.Err()
}

var errOutside = errors.New("it holds a line of another number than its name promises")

// mostDamages is how many damages are listed.
const mostDamages = 100

func (r *Report) note(d *Damage) {
	if len(r.Damaged) < mostDamages {
		r.Damaged = append(r.Damaged, *d)
	}
}
