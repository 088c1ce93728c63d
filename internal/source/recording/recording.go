package recording

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"time"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/pcapng"
	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// Recording is what [mptcpctl/internal/source/live.Record] wrote: it answers as the kernel answered then. As a
// [track.Recording] it is played by one tracker, once.
//
// What a recording holds is foreign: it is checked like anything that comes from
// the network, and its strings must be escaped before they are shown.
type Recording struct {
	data      []byte // all of it
	kernel    string
	program   string
	listened  bool // events were subscribed to
	truncated bool
	all       bool // of all namespaces, each with its name
	family    pathmanager.Family
	first     time.Time
	last      time.Time
	entries   []entry // in the order of their times
	snapshots []*recorded
	spaces    []*recordedSpace // in the order in which the file names them
	named     map[string]*recordedSpace
	devices   func() map[device]string
	events    int
	replay    replay
}

// recordedSpace is a network namespace of a recording.
type recordedSpace struct {
	netns string    // its name, "" for that of a recording of one alone
	parts []byte    // of a large fact that is being read
	open  *recorded // the snapshot that is being read
	last  *recorded // the newest whole one, nil where there is none or the namespace has gone
}

// entry is an event, a loss, a snapshot, or that a namespace has gone.
type entry struct {
	time     time.Time
	netns    string
	message  nlmsg.Message // an event
	lost     uint64        // else: events that the kernel dropped
	snapshot *recorded     // else: a snapshot
	gone     bool          // else: the namespace has gone
	more     bool          // another snapshot of the same round follows
}

// told reports whether the entry stands in the stream of events.
func (e *entry) told() bool { return e.snapshot == nil && !e.gone }

// largestRecording is the size of the largest file that is read.
const largestRecording = 2 << 30

// ErrNotRecorded is what a view answers that the recording has no answer for.
var ErrNotRecorded = errors.New("not recorded")

// Open reads a recording, which gzip may have compressed. The error unwraps
// to that of the file system, or [errors.Is] [pcapng.ErrFormat], or
// [io.ErrUnexpectedEOF] where what gzip wrote was cut short so early that nothing can
// be shown.
func Open(path string) (*Recording, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, allowance, cut := readBounded(f, largestRecording)
	if cut != nil && len(data) == 0 {
		return nil, fmt.Errorf("%s: %w", path, cut)
	}
	r, err := parseRecording(data, allowance)
	switch {
	case err != nil && cut != nil:
		return nil, fmt.Errorf("%s: %w", path, cut)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r.truncated = r.truncated || cut != nil
	return r, nil
}

// Read reads a recording, whose memory is taken from the allowance.
func Read(from io.Reader, allowance *Allowance) (*Recording, error) {
	data, err := pcapng.Read(from, allowance.Spend)
	if err != nil {
		return nil, err
	}
	return parseRecording(data, allowance)
}

// Parse reads a recording of which data are the bytes. The recording keeps
// them.
func Parse(data []byte) (*Recording, error) {
	return parseRecording(data, NewAllowance(func() int64 { return int64(len(data)) }))
}

func parseRecording(data []byte, allowance *Allowance) (*Recording, error) {
	return parseUntil(data, allowance, time.Time{})
}

// At returns the recording as it would be if it had ended at that time: what was recorded
// later is not in it. The error says when the recording begins, where that is later.
func (r *Recording) At(t time.Time) (*Recording, error) {
	if len(r.snapshots) == 0 || t.Before(r.snapshots[0].until) {
		first := r.first
		if len(r.snapshots) > 0 {
			first = r.snapshots[0].until
		}
		return nil, fmt.Errorf(
			"the recording knows nothing of %s: it begins at %s", t.Format(time.RFC3339),
			first.Local().Format(time.RFC3339Nano),
		)
	}
	return parseUntil(r.data, NewAllowance(func() int64 { return int64(len(r.data)) }), t)
}

// parseUntil reads a recording, without what is later than a time that is not zero.
func parseUntil(data []byte, allowance *Allowance, until time.Time) (*Recording, error) {
	r := &Recording{named: map[string]*recordedSpace{}, data: data}
	r.devices = sync.OnceValue(r.deviceNames)
	var file pcapng.File
	interfaces := 0
	for p, err := range pcapng.Parse(data, &file) {
		if errors.Is(err, pcapng.ErrTruncated) && len(file.Interfaces) > 0 {
			r.truncated = true
			break
		}
		if err != nil {
			return nil, err
		}
		if file.Foreign {
			return nil, errors.New("it was recorded on a machine with the other byte order")
		}
		more := len(file.Interfaces) - interfaces
		interfaces += more
		if !until.IsZero() && p.Time.After(until) {
			continue
		}
		if err := allowance.Spend(more*costInterface + costPacket); err != nil {
			return nil, err
		}
		switch file.Interfaces[p.Interface].LinkType {
		case pcapng.LinkTypeNetlink:
			err = r.takeMessages(p, r.space(file.Interfaces[p.Interface].Name), allowance)
		case pcapng.LinkTypeUser0:
			err = r.takeFact(p, r.space(file.Interfaces[p.Interface].Name), allowance)
		}
		if err != nil {
			return nil, err
		}
		if r.first.IsZero() {
			r.first = p.Time
		}
		if p.Time.After(r.last) {
			r.last = p.Time
		}
	}
	if r.family.ID == 0 {
		return nil, errors.New(
			"not a recording: neither mptcpctl wrote it, nor does it begin with the kernel's answer about the " +
				"family mptcp_pm",
		)
	}
	slices.SortStableFunc(r.entries, func(a, b entry) int { return a.time.Compare(b.time) })
	r.markRounds()
	r.replay.init(r)
	return r, nil
}

// markRounds notes behind which snapshots others of the same round follow.
func (r *Recording) markRounds() {
	var before *entry
	for i := range r.entries {
		e := &r.entries[i]
		if e.snapshot == nil {
			continue
		}
		if before != nil {
			before.more = e.snapshot.round != 0 && e.snapshot.round == before.snapshot.round
		}
		before = e
	}
}

// space returns the namespace that the interface with the name is of. Only in a
// recording of all of them that is what interfaces are named by.
func (r *Recording) space(name string) *recordedSpace {
	if !r.all {
		name = ""
	}
	s := r.named[name]
	if s == nil {
		s = &recordedSpace{netns: name}
		r.spaces, r.named[name] = append(r.spaces, s), s
	}
	return s
}

// takeMessages takes netlink messages in: those of a snapshot, or events.
func (r *Recording) takeMessages(p pcapng.Packet, in *recordedSpace, allowance *Allowance) error {
	family, messages, ok := cooked(p.Data)
	if !ok {
		return nil
	}
	for m := range nlmsg.Messages(messages) {
		cost := costEvent
		if family == NetlinkSockDiag {
			cost = costSocket
		}
		if err := allowance.Spend(cost); err != nil {
			return err
		}
		switch {
		case family == NetlinkGeneric && m.Type() == genericControl && r.family.ID == 0:
			if f, err := pathmanager.DecodeFamily(m); err == nil {
				r.family = f
			}
		case family == NetlinkGeneric && m.Type() == r.family.ID && m.Sequence() == 0:
			// An answer has the number of its question, from 1.
			r.entries = append(r.entries, entry{time: p.Time, netns: in.netns, message: m})
			r.events++
		case in.open == nil:
		case family == NetlinkGeneric && m.Type() == r.family.ID:
			in.open.answers = append(in.open.answers, m)
		case family == NetlinkSockDiag:
			in.open.takeSocket(m)
		}
	}
	return nil
}

// takeFact takes a fact of the namespace in.
func (r *Recording) takeFact(p pcapng.Packet, in *recordedSpace, allowance *Allowance) error {
	if err := allowance.SpendJSON(p.Data); err != nil {
		return err
	}
	f := parseFact(p.Data)
	if f.Fact == factPart {
		if in.parts = append(in.parts, f.Part...); f.More {
			return nil
		}
		if err := allowance.SpendJSON(in.parts); err != nil {
			return err
		}
		f, in.parts = parseFact(in.parts), nil
	}
	switch f.Fact {
	case FactRecording:
		r.kernel, r.program, r.listened, r.all = f.Kernel, f.Program, f.Events, f.All
	case FactLost:
		lost := entry{time: p.Time, netns: in.netns, lost: f.Lost}
		if f.Shared {
			lost.netns = ""
		}
		r.entries = append(r.entries, lost)
	case FactSnapshot:
		in.open = &recorded{time: p.Time, recording: r, netns: in.netns, round: f.Round, before: in.last}
		return allowance.Spend(costSnapshot)
	case FactEnd:
		if in.open != nil { // one without its end is not whole: it does not count
			in.open.succeed()
			r.entries = append(r.entries, entry{time: in.open.time, netns: in.netns, snapshot: in.open})
			in.open.until = p.Time
			r.snapshots = append(r.snapshots, in.open)
			in.last = in.open
		}
		in.open = nil
	case FactGone:
		r.entries = append(r.entries, entry{time: p.Time, netns: in.netns, gone: true})
		in.open, in.last = nil, nil
	default:
		if in.open != nil {
			in.open.takeFact(&f)
		}
	}
	return nil
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
			if !e.told() {
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
	event.Time, event.Netns = e.time, e.netns
	return event
}

// Views returns the namespaces that were there at the end, each as its last whole
// snapshot shows it.
func (r *Recording) Views() []source.View {
	var views []source.View
	for _, s := range r.spaces {
		if s.last != nil {
			views = append(views, s.last)
		}
	}
	if len(views) == 0 {
		views = append(views, &recorded{time: r.last, recording: r})
	}
	return views
}

// States yields the namespaces as each whole snapshot shows them, with its time.
func (r *Recording) States() iter.Seq2[time.Time, source.View] {
	return func(yield func(time.Time, source.View) bool) {
		for _, s := range r.snapshots {
			if !yield(s.time, s) {
				return
			}
		}
	}
}

// device is a device of a network namespace.
type device struct {
	netns string
	index int
}

// DeviceName returns the name that the device had last, and whether it was
// recorded. It is foreign: escape it before showing.
func (r *Recording) DeviceName(netns string, index int32) (string, bool) {
	name, ok := r.devices()[device{netns, int(index)}]
	return name, ok
}

// deviceNames gathers the names that the devices had last.
func (r *Recording) deviceNames() map[device]string {
	names := map[device]string{}
	for _, s := range r.snapshots {
		for i := range s.network.Links {
			names[device{s.netns, s.network.Links[i].Index}] = s.network.Links[i].Name
		}
	}
	return names
}
