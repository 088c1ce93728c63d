package serve

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/export"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/gather"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

const (
	judgePause = time.Minute // how old the findings in the metrics may be
	judgeKeep  = 2000        // events that count as evidence
)

// judge has doctor look at the host from time to time, with the events that the
// tracker sees as evidence.
type judge struct {
	from    *Source
	tracker *track.Tracker
	log     *slog.Logger

	mu     sync.Mutex
	since  time.Time // since when seen has every event
	seen   []mptcp.Event
	report *doctor.Report
	at     time.Time // of the report
	failed uint64    // looks that gave none
}

// run follows the events, and looks each minute, until ctx is done.
func (j *judge) run(ctx context.Context, deltas iter.Seq2[track.Delta, error]) error {
	var looking sync.WaitGroup
	looking.Go(func() { j.lookEvery(ctx) })
	defer looking.Wait()
	for delta, err := range deltas {
		if err != nil {
			return nil // the tracker tells of its end itself
		}
		j.note(&delta)
	}
	return nil
}

func (j *judge) lookEvery(ctx context.Context) {
	if !j.awaitState(ctx) {
		return
	}
	pause := time.Second // what is there at the start is known soon
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if err := j.lookInTime(ctx); err != nil && ctx.Err() == nil {
			j.log.Warn("doctor", "error", err)
		}
		pause = judgePause
	}
}

// awaitState waits until the first state is there: whoever asks for it comes first. It
// reports whether ctx goes on.
func (j *judge) awaitState(ctx context.Context) bool {
	for {
		changed := j.tracker.Changed()
		if len(j.tracker.State().Namespaces()) > 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// lookInTime looks, for no longer than half a pause.
func (j *judge) lookInTime(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, judgePause/2)
	defer cancel()
	_, err := j.look(ctx)
	return err
}

// note keeps an event of the kernel. Behind a gap evidence begins anew.
func (j *judge) note(d *track.Delta) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case d.Kind == track.KindOverflow || d.Event.Type == mptcp.EventLost:
		j.seen, j.since = nil, time.Now()
	case d.Kind == track.KindEvent:
		if len(j.seen) == judgeKeep {
			j.seen = slices.Delete(j.seen, 0, judgeKeep/4)
			j.since = j.seen[0].Time
		}
		j.seen = append(j.seen, d.Event)
	}
}

// look gathers the facts and returns what doctor makes of them, in the JSON of the
// command.
func (j *judge) look(ctx context.Context) (any, error) {
	found, err := j.find(ctx)
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.failed++
	}
	return found, err
}

func (j *judge) find(ctx context.Context) (any, error) {
	config := &gather.Config{Window: gather.DefaultWindow}
	if j.from.recording != nil {
		config.Window = 0 // all of it
	}
	facts, err := gather.All(ctx, j.from.Views(), config)
	if err != nil {
		return nil, fmt.Errorf("doctor: %w", err)
	}
	for i := range facts {
		j.testify(&facts[i])
	}
	report := doctor.DiagnoseAll(facts)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.report, j.at = &report, time.Now()
	return present.DoctorJSON(&report), nil
}

// testify puts the events that were seen in the place of those that the gathering
// would have had to listen to by itself.
func (j *judge) testify(f *doctor.Facts) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.from.noEvents != "" || j.from.recording != nil {
		return
	}
	f.Events, f.EarlierThan = nil, nil
	created := map[mptcp.Token]bool{}
	for i := range j.seen {
		e := j.seen[i]
		if e.Time.After(f.Time) {
			break
		}
		if e.Netns != f.Netns {
			continue
		}
		if e.Type == mptcp.EventCreated {
			created[e.Token] = true
		}
		f.Events = append(f.Events, e)
	}
	for i := range f.Connections {
		if token := f.Connections[i].Token; !created[token] {
			f.EarlierThan = append(f.EarlierThan, token)
		}
	}
	slices.Sort(f.EarlierThan)
	f.EventsSince = j.since
	f.Unseen = slices.DeleteFunc(f.Unseen, func(g doctor.Gap) bool { return g.What == "events" })
}

// counted returns what was found last, for the metrics, when that was, and how often
// looking failed.
func (j *judge) counted() (found []export.Finding, at time.Time, failed uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.report == nil {
		return nil, time.Time{}, j.failed
	}
	found = make([]export.Finding, 0, len(j.report.Findings))
	for _, f := range j.report.Findings {
		found = append(
			found, export.Finding{Netns: f.Subject.Netns, Rule: string(f.Rule), Severity: f.Severity.String()},
		)
	}
	return found, j.at, j.failed
}
