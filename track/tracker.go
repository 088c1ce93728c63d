package track

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"mptcpctl/mptcp"
)

// Tracker holds the live state. Make one with [New], start [Tracker.Run] in a
// goroutine, and read it from any other.
type Tracker struct {
	source   Source
	config   Config
	clock    clock
	delivery delivery // mu guards its history

	mu         sync.Mutex // guards what follows, up to the next comment
	table      *table
	archive    archive
	namespaces []*namespace
	events     uint64
	lost       uint64
	generation uint64
	time       time.Time
	dumpErr    error
	lookErr    error
	processes  map[uint32][]mptcp.Process
	wanted     []mptcp.Key
	state      *State        // the last one given out, nil after a change
	changed    chan struct{} // closed at the next change; nil: nobody waits

	// What follows is used only by the goroutine of Run.
	rec         record
	checks      checks
	deriver     deriver
	marksServer bool // the kernel marks the server's side in CREATED
	reconciler  reconciler
	sampler     sampler
}

// identity is what the kernel knows a connection by, at one time.
type identity struct {
	netns string
	token mptcp.Token
}

// New makes a tracker of the source. A nil config means the defaults.
func New(source Source, config *Config) *Tracker {
	c := config.withDefaults()
	recording, _ := source.(Recording)
	t := &Tracker{
		source: source, clock: clock{recording: recording}, config: c,
		reconciler: reconciler{every: c.Reconcile, recorded: recording != nil}, marksServer: c.MarksServer,
		delivery: delivery{history: newHistory(c.HistoryTotal)}, table: newTable(c.Details),
		archive: archive{last: make(map[identity]*Ended)},
		checks:  checks{by: make(map[identity]*check)},
		deriver: deriver{rises: make(map[string][]rise)},
	}
	if c.Connections {
		t.delivery.connection = t.connection
	}
	return t
}

// connection makes the live connection in the slot, with the subflow that is going. The
// caller holds mu.
func (t *Tracker) connection(slot uint32, gone *mptcp.Subflow) *mptcp.Connection {
	var r record
	t.table.load(slot, &r)
	if gone != nil {
		r.Subflows = append(r.Subflows, *gone)
	}
	finish(&r.Connection, t.namespaces, t.processes)
	return &r.Connection
}

// State returns the state as of now. Calls without a change in between return the
// same one.
func (t *Tracker) State() *State {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == nil {
		ended, closed := t.archive.give()
		t.state = &State{
			time: t.time, generation: t.generation, events: t.events, lost: t.lost, err: cmp.Or(t.dumpErr, t.lookErr),
			counts: t.table.counts, view: t.table.freeze(), past: t.delivery.history.freeze(), limit: t.config.History,
			ended: ended, closed: closed,
			namespaces: t.namespaces, processes: t.processes,
		}
	}
	return t.state
}

// Changed returns a channel that is closed at the next change of the state. Take
// it before the State that is shown, and wait for it afterwards:
//
//	for {
//		changed := t.Changed()
//		show(t.State())
//		<-changed
//	}
func (t *Tracker) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.changed
}

// SetProcesses gives the states the processes that hold sockets, by inode, as one
// walk of /proc finds them. The map is not copied, and may not change afterwards.
func (t *Tracker) SetProcesses(byInode map[uint32][]mptcp.Process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.processes = byInode
	t.touch()
}

// Look names the connections that a view shows: their figures are read in every period
// of Config.Sample rather than only with the dumps, until Look is called again. At most a
// few hundred are read.
func (t *Tracker) Look(keys []mptcp.Key) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = append([]mptcp.Key(nil), keys[:min(len(keys), sampledAtATime)]...)
}

// touch notes a change: the next State is a new one. The caller holds mu.
func (t *Tracker) touch() {
	t.time = t.clock.now()
	t.state = nil
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// Run reads the source until ctx is done or the source ends, and then returns nil.
// What the source gives up to its end is applied, also after ctx is done. It returns
// the error that ends the stream of events, or with which the first dump fails; later
// errors of dumps and lookups are retried, and shown by [State.Err]. It may be called
// once.
func (t *Tracker) Run(ctx context.Context) (err error) {
	f := newFeed(t.source)
	defer func() { t.delivery.streams.close(err) }()
	defer f.stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.start(ctx)
	if err := t.start(ctx); err != nil {
		t.drain(ctx, f)
		return unlessDone(ctx, err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if t.clock.recording == nil {
			timer.Reset(t.pause())
		}
		select {
		case b := <-f.batches:
			t.catchUp(ctx, b)
			t.apply(b)
			f.recycle(b)
		case e := <-f.finals:
			t.final(&e)
		case err := <-f.end:
			t.finish(ctx)
			return unlessDone(ctx, err)
		case <-timer.C:
		case <-ctx.Done():
			t.drain(ctx, f)
			return nil
		}
		t.attend(ctx, t.clock.now())
	}
}

// drain applies what the source still gives after ctx is done. A recording would give
// everything up to its last event: it is not drained.
func (t *Tracker) drain(ctx context.Context, f *feed) {
	for ctx.Err() != nil && t.clock.recording == nil {
		select {
		case b := <-f.batches:
			t.apply(b)
			f.recycle(b)
		case e := <-f.finals:
			t.final(&e)
		case <-f.end:
			return
		}
	}
}

// unlessDone returns the error, but none when ctx is done.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// start takes the first dump.
func (t *Tracker) start(ctx context.Context) error {
	err := t.reconcile(ctx, first)
	if err != nil && unread(err) == nil {
		return err
	}
	t.keep(err)
	if t.config.Sample > 0 {
		t.sampler.begin()
		if t.clock.recording == nil {
			t.sampler.next = t.clock.now().Add(t.config.Sample)
		}
	}
	return nil
}

// finish answers the open questions when the source has ended.
func (t *Tracker) finish(ctx context.Context) {
	if t.clock.recording != nil {
		t.playOut(ctx)
	}
	if t.reconciler.missed > 0 {
		t.keep(t.reconcile(ctx, afterLoss))
	}
	for range 3 {
		t.verify(ctx, t.clock.now().Add(time.Hour))
	}
}

// catchUp plays a recording up to the batch.
func (t *Tracker) catchUp(ctx context.Context, batch []mptcp.Event) {
	if t.clock.recording == nil || len(batch) == 0 {
		return
	}
	t.play(ctx, batch[0].Time)
	t.clock.seek(batch[len(batch)-1].Time)
}

// longestPause is the longest time that a tracker of a live source rests.
const longestPause = time.Minute

// pause returns how long nothing is due.
func (t *Tracker) pause() time.Duration {
	due := t.deadline()
	if due.IsZero() {
		return longestPause
	}
	return min(time.Until(due), longestPause)
}

// deadline returns when something is due, zero where nothing is.
func (t *Tracker) deadline() (first time.Time) {
	dues := [...]time.Time{
		t.checks.due(), t.sampler.next, t.reconciler.due(), t.archive.due(t.config.KeepTime),
	}
	for _, d := range dues {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	return first
}

// attend does what is due.
func (t *Tracker) attend(ctx context.Context, now time.Time) {
	if isDue(t.reconciler.due(), now) {
		t.keep(t.reconcile(ctx, t.reconciler.why()))
	}
	if isDue(t.sampler.next, now) {
		t.sampler.begin()
		began := time.Now()
		t.sample(ctx)
		t.lookAtWanted(now)
		t.sampler.next = now.Add(max(t.config.Sample, dumpPause*time.Since(began)))
	}
	t.expire(now)
	if isDue(t.checks.due(), now) {
		t.verify(ctx, now)
	}
}

// keep has the states show the error of a dump, or none if the dump succeeded.
func (t *Tracker) keep(err error) { t.keepIn(&t.dumpErr, err) }

// keepLook does the same for lookups and samples.
func (t *Tracker) keepLook(err error) { t.keepIn(&t.lookErr, err) }

func (t *Tracker) keepIn(where *error, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil || *where != nil {
		*where = err
		t.touch()
	}
}

// expire forgets ended connections after their time.
func (t *Tracker) expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.archive.expire(now, t.config.KeepTime) {
		t.touch()
	}
}
