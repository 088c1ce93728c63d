package cli

import (
	"context"
	"iter"
	"slices"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/source"
	"mptcpctl/internal/source/recording"
)

// look is what doctor says of one dump of a recording.
type look struct {
	doctor.Report
	err error
}

// looks yields what doctor says of each dump of a recording, or of those that are the
// interval apart. Each look is at what happened since the one before.
func looks(ctx context.Context, recording *recording.Recording, r *doctorRequest) iter.Seq2[time.Time, look] {
	return func(yield func(time.Time, look) bool) {
		looked := map[string]time.Time{} // the network namespaces
		for at, view := range recording.States() {
			config := *r.config
			if last, again := looked[view.Netns()]; again {
				if config.Window = at.Sub(last); config.Window < r.interval {
					continue
				}
			}
			facts, err := gatherViews(ctx, []source.View{view}, &config)
			l := look{err: err}
			if err == nil {
				l.Report = doctor.DiagnoseAll(facts)
			}
			if !yield(at, l) || err != nil {
				return
			}
			looked[view.Netns()] = at
		}
	}
}

// mostLooks bounds how often a long recording is looked at for what was earlier.
const mostLooks = 60

// earlier returns the failures and warnings that were found at some time of a
// recording, and are not in the report of its end.
func earlier(
	ctx context.Context, recording *recording.Recording, r *doctorRequest, end *doctor.Report,
) ([]doctor.Past, error) {
	first, last := recording.Span()
	often := *r
	often.interval = max(last.Sub(first)/mostLooks, 1)
	var past []doctor.Past
	for at, l := range looks(ctx, recording, &often) {
		if l.err != nil {
			return nil, l.err
		}
		for _, f := range l.Findings {
			if f.Severity == doctor.Info || tells(end.Findings, &f) {
				continue
			}
			i := slices.IndexFunc(past, func(p doctor.Past) bool { return alike(&p.Finding, &f) })
			if i < 0 {
				past, i = append(past, doctor.Past{Finding: f, First: at.UTC()}), len(past)
			}
			past[i].Last = at.UTC()
		}
	}
	return past, nil
}

func tells(list []doctor.Finding, f *doctor.Finding) bool {
	return slices.ContainsFunc(list, func(other doctor.Finding) bool { return alike(&other, f) })
}

// alike reports whether two findings are about the same cause at the same place, of
// whichever connections.
func alike(a, b *doctor.Finding) bool {
	return a.Rule == b.Rule && a.Subject.Endpoint == b.Subject.Endpoint && a.Subject.Device == b.Subject.Device
}
