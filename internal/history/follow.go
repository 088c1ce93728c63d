package history

import (
	"context"
	"errors"
	"iter"
	"time"

	"mptcpctl/internal/chronicle"
)

// followPause is how long a follower waits for further lines: they are written each second.
const followPause = 500 * time.Millisecond

// Follow returns the lines as [Reader.Lines] does, and goes on with those that are written
// from then on, until ctx is done. No line comes twice, and none is left out: a file that is
// closed while it is read is read on as what it has become.
func (r *Reader) Follow(ctx context.Context, span Span) iter.Seq2[chronicle.Line, error] {
	return func(yield func(chronicle.Line, error) bool) {
		var last uint64 // number of the last line that was given
		damaged := map[string]bool{}
		open, offset := "", int64(0) // how far the open file was read
		for {
			list, err := r.Files()
			if err != nil {
				yield(chronicle.Line{}, err)
				return
			}
			for i := range list {
				f := &list[i]
				if f.Last != 0 && f.Last <= last || damaged[f.Name] || !span.touches(f) && f.Packed {
					continue
				}
				if f.Name != open {
					open, offset = f.Name, 0
				}
				for l, err := range r.linesBehind(ctx, f, &offset) {
					var damage *Damage
					if errors.As(err, &damage) {
						damaged[f.Name] = f.Packed
					}
					if err == nil && l.Seq <= last {
						continue
					}
					last = max(last, l.Seq)
					if !yield(l, err) {
						return
					}
				}
			}
			if !span.To.IsZero() && time.Now().After(span.To.Add(slack)) {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(followPause):
			}
		}
	}
}
