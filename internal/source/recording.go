package source

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"mptcpctl/internal/pcapng"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// Recording is what [Record] wrote: it answers as the kernel answered then. As a
// [track.Source] it is read by one tracker; see [Recording.Batches].
//
// What a recording holds is foreign: it is checked like anything that comes from
// the network, and its strings must be escaped before they are shown.
type Recording struct {
	kernel    string
	program   string
	listened  bool // events were subscribed to
	truncated bool
	family    pathmanager.Family
	first     time.Time
	last      time.Time
	entries   []entry // in the order of their times
	snapshots []*recorded
	events    int
	replay    replay
}

// entry is an event, a loss, or a snapshot.
type entry struct {
	time     time.Time
	message  message // an event
	lost     uint64  // else: events that the kernel dropped
	snapshot int     // else: the number of the snapshot; -1 in the others
}

// largestRecording is the size of the largest file that is read.
const largestRecording = 2 << 30

// ErrNotRecorded is what a view answers that the recording has no answer for.
var ErrNotRecorded = errors.New("not recorded")

// OpenRecording reads a recording. The error unwraps to that of the file system, or
// [errors.Is] [pcapng.ErrFormat].
func OpenRecording(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, largestRecording+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > largestRecording {
		return nil, fmt.Errorf("%s: larger than %d GiB", path, largestRecording>>30)
	}
	r, err := ParseRecording(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// ParseRecording reads a recording of which data are the bytes. The recording keeps
// them.
func ParseRecording(data []byte) (*Recording, error) {
	r := &Recording{}
	var file pcapng.File
	var open *recorded // the snapshot that is being read
	for p, err := range pcapng.Parse(data, &file) {
		if errors.Is(err, pcapng.ErrTruncated) && len(file.Interfaces) > 0 {
			r.truncated = true
			break
		}
		if err != nil {
			return nil, err
		}
		if file.Foreign {
			return nil, errors.New("it was recorded on a machine of the other byte order")
		}
		switch file.Interfaces[p.Interface].LinkType {
		case pcapng.LinkTypeNetlink:
			r.takeMessages(p, open)
		case pcapng.LinkTypeUser0:
			open = r.takeFact(p, open)
		}
		if r.first.IsZero() {
			r.first = p.Time
		}
		if p.Time.After(r.last) {
			r.last = p.Time
		}
	}
	if r.family.ID == 0 {
		return nil, errors.New("no recording of mptcpctl, nor any other one that begins with the kernel's answer about the family mptcp_pm")
	}
	slices.SortStableFunc(r.entries, func(a, b entry) int { return a.time.Compare(b.time) })
	r.replay.init(r)
	return r, nil
}

// takeMessages takes netlink messages in: those of a snapshot, or events.
func (r *Recording) takeMessages(p pcapng.Packet, open *recorded) {
	family, messages, ok := cooked(p.Data)
	if !ok {
		return
	}
	for m := range messagesIn(messages) {
		switch {
		case family == netlinkGeneric && m.typ() == genericControl && r.family.ID == 0:
			if f, err := pathmanager.DecodeFamily(m); err == nil {
				r.family = f
			}
		case family == netlinkGeneric && m.typ() == r.family.ID && m.sequence() == 0:
			// An answer has the number of its question, from 1.
			r.entries = append(r.entries, entry{time: p.Time, message: m, snapshot: -1})
			r.events++
		case open == nil:
		case family == netlinkGeneric && m.typ() == r.family.ID:
			open.answers = append(open.answers, m)
		case family == netlinkSockDiag:
			open.takeSocket(m)
		}
	}
}

// takeFact takes a fact in, and returns the snapshot that is being read behind it.
func (r *Recording) takeFact(p pcapng.Packet, open *recorded) *recorded {
	f := parseFact(p.Data)
	switch f.Fact {
	case factRecording:
		r.kernel, r.program, r.listened = f.Kernel, f.Program, f.Events
	case factLost:
		r.entries = append(r.entries, entry{time: p.Time, lost: f.Lost, snapshot: -1})
	case factSnapshot:
		open = &recorded{time: p.Time, recording: r}
		if n := len(r.snapshots); n > 0 {
			open.before = r.snapshots[n-1]
		}
	case factEnd:
		if open != nil { // one without its end is not whole: it does not count
			r.entries = append(r.entries, entry{time: open.time, snapshot: len(r.snapshots)})
			r.snapshots = append(r.snapshots, open)
		}
		open = nil
	default:
		if open != nil {
			open.takeFact(&f)
		}
	}
	return open
}

// Kernel returns the release of the kernel that was recorded. It is foreign.
func (r *Recording) Kernel() string { return r.kernel }

// Truncated reports whether the file ends in the middle of a block, as after a
// crash of the recorder.
func (r *Recording) Truncated() bool { return r.truncated }

// Span returns the times of the first and the last thing recorded.
func (r *Recording) Span() (first, last time.Time) { return r.first, r.last }

// Close lets go of the recording. It never fails.
func (r *Recording) Close() error { return nil }

// Events yields the recorded events in batches, those of one time together, with
// an EventLost where some were dropped. A batch is valid until the next.
func (r *Recording) Events() iter.Seq[[]mptcp.Event] {
	return func(yield func([]mptcp.Event) bool) {
		var batch []mptcp.Event
		for i := range r.entries {
			e := &r.entries[i]
			if e.snapshot >= 0 {
				continue
			}
			if len(batch) > 0 && (!batch[0].Time.Equal(e.time) || len(batch) == cap(batch)) {
				if !yield(batch) {
					return
				}
				batch = batch[:0]
			}
			if batch == nil {
				batch = make([]mptcp.Event, 0, 512)
			}
			batch = append(batch, e.event())
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}

// event decodes the entry. What cannot be decoded is lost, as in the live stream.
func (e *entry) event() mptcp.Event {
	event := mptcp.Event{Type: mptcp.EventLost, Lost: e.lost}
	if e.message != nil && pathmanager.DecodeEvent(e.message, &event) != nil {
		event = mptcp.Event{Type: mptcp.EventLost, Lost: 1}
	}
	event.Time = e.time
	return event
}

// Views returns the namespace as the last whole snapshot shows it.
func (r *Recording) Views() []View {
	if len(r.snapshots) == 0 {
		return []View{&recorded{time: r.last, recording: r}}
	}
	return []View{r.snapshots[len(r.snapshots)-1]}
}

// States yields the namespace as each whole snapshot shows it, with its time.
func (r *Recording) States() iter.Seq2[time.Time, View] {
	return func(yield func(time.Time, View) bool) {
		for _, s := range r.snapshots {
			if !yield(s.time, s) {
				return
			}
		}
	}
}

// DeviceName returns the name that the device had last, and whether it was
// recorded. It is foreign: escape it before showing.
func (r *Recording) DeviceName(_ string, index int32) (string, bool) {
	for i := len(r.snapshots) - 1; i >= 0; i-- {
		if l, ok := r.snapshots[i].network.LinkByIndex(int(index)); ok {
			return l.Name, true
		}
	}
	return "", false
}
