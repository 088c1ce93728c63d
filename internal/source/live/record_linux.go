package live

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"mptcpctl/hostnet"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/owners"
	"mptcpctl/internal/pcapng"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// RecordConfig says how to record. The zero value, and nil, mean the defaults.
type RecordConfig struct {
	Program string        // name and version of the program that records
	Every   time.Duration // between two dumps; 0: 5 s

	// Events is how to subscribe to events, nil for dumps without events. They
	// need CAP_NET_ADMIN in the network namespace.
	Events *pathmanager.ListenConfig

	// All records all network namespaces that the caller may enter, also those that
	// come later, each under its name. Search says where to look for them, and Warn
	// is told which are left out; it may be nil.
	All    bool
	Search hostnet.NamespaceSearch
	Warn   func(error)

	// Progress is called after each snapshot, and when events were written. It
	// may be nil.
	Progress func(Progress)
}

// Progress is what a recording holds so far.
type Progress struct {
	Events    uint64
	Lost      uint64 // events that the kernel dropped
	Refused   uint64 // messages that did not come from the kernel
	Snapshots uint64
	Bytes     uint64
}

// Plus returns the progress of two recordings together.
func (p Progress) Plus(q Progress) Progress {
	return Progress{
		Events: p.Events + q.Events, Snapshots: p.Snapshots + q.Snapshots, Bytes: p.Bytes + q.Bytes,
		Lost: p.Lost + q.Lost, Refused: p.Refused + q.Refused,
	}
}

// Record writes what the kernel says of the calling thread's network namespace, or of
// all, to w, until ctx ends: the path manager's events as they come, and all dumps
// that a command may ask for at the beginning, at intervals and at the end. See
// docs/recording.md for the format. It returns nil at the end of ctx.
//
// Whatever has been written is whole up to the last block: a recording that is cut
// short by a crash is good up to there.
func Record(ctx context.Context, w io.Writer, c *RecordConfig) (Progress, error) {
	r := &recorder{w: w}
	if c != nil {
		r.config = *c
	}
	r.config.Every = cmp.Or(r.config.Every, 5*time.Second)
	err := r.run(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.progress, err
}

// recorder is a recording under way.
type recorder struct {
	config RecordConfig
	host   *Host   // of the one namespace that is recorded, else nil
	dump   *dumper // of that
	hosts  *Hosts  // all namespaces, else nil

	mu         sync.Mutex // guards what follows
	w          io.Writer
	interfaces []string // the namespaces; two interfaces for each
	pending    []byte   // blocks that were not written yet
	failed     error    // the first failure
	progress   Progress
}

func (r *recorder) run(ctx context.Context) (err error) {
	if err := r.open(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.begin(); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var tasks sync.WaitGroup
	var broken error
	if r.config.Events != nil {
		tasks.Go(func() {
			if broken = r.readEvents(reading); broken != nil {
				fail(broken)
			}
		})
	}
	err = r.snapshots(ctx)
	stop()
	tasks.Wait()
	return told(err, broken, r.stop())
}

// told joins errors, each once: what broke the file is met by all that write to it.
func told(errs ...error) error {
	var all []error
	for _, err := range errs {
		if err != nil && !slices.ContainsFunc(all, func(e error) bool { return errors.Is(e, err) }) {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// open opens what is recorded.
func (r *recorder) open(ctx context.Context) (err error) {
	if r.config.All {
		r.hosts, err = DialAll(
			ctx, &HostsConfig{Events: r.config.Events, Search: r.config.Search, Warn: r.config.Warn, recorder: r},
		)
		return err
	}
	r.dump = r.newDumper("")
	config := &Config{taps: r.dump.taps()}
	if r.config.Events != nil {
		listen := *r.config.Events
		listen.Tap = r.dump.tapEvent
		config.Events = &listen
	}
	r.host, err = Dial(config)
	return err
}

func (r *recorder) close() error {
	if r.hosts != nil {
		return r.hosts.Close()
	}
	return r.host.Close()
}

// own is the host of the namespace that the recorder is in.
func (r *recorder) own() *Host {
	if r.hosts != nil {
		return r.hosts.list()[0].Host
	}
	return r.host
}

// newDumper returns what takes the snapshots of the namespace.
func (r *recorder) newDumper(netns string) *dumper {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &dumper{recorder: r, netns: netns, number: r.number(netns)}
}

// number returns the number of the interface for the namespace's messages. The
// caller holds mu.
func (r *recorder) number(netns string) int {
	if i := slices.Index(r.interfaces, netns); i >= 0 {
		return 2 * i
	}
	r.interfaces = append(r.interfaces, netns)
	r.pending = pcapng.AppendInterface(
		r.pending, pcapng.Interface{LinkType: pcapng.LinkTypeNetlink, Name: netns, Description: "netlink messages"},
	)
	r.pending = pcapng.AppendInterface(
		r.pending, pcapng.Interface{LinkType: pcapng.LinkTypeUser0, Name: netns, Description: "facts (JSON)"},
	)
	return 2 * (len(r.interfaces) - 1)
}

// begin writes what stands before all else: interfaces wait for that already.
func (r *recorder) begin() error {
	release := kernel.Release()
	now := time.Now()
	b := recording.AppendMessages(nil, 0, now, recording.NetlinkGeneric, r.own().pm.Family().Raw)
	b, err := recording.AppendFactPacket(b, 1, now, &recording.Fact{
		Fact:    recording.FactRecording,
		Version: recording.Version,
		Kernel:  release,
		Program: r.config.Program,
		Events:  r.config.Events != nil,
		All:     r.config.All,
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.pending = append(
		pcapng.AppendSection(nil, pcapng.Section{OS: "Linux " + release, Application: r.config.Program}),
		r.pending...)
	r.mu.Unlock()
	return r.write(nil, b, Progress{})
}

// stop writes what stands at the end.
func (r *recorder) stop() error {
	f := &recording.Fact{Fact: recording.FactStop}
	switch {
	case r.hosts != nil:
		f.Refused = r.hosts.Refused()
	case r.host.listener != nil:
		f.Refused = r.host.listener.Refused()
	}
	b, err := recording.AppendFactPacket(nil, 1, time.Now(), f)
	if err != nil {
		return err
	}
	return r.write(nil, b, Progress{Refused: f.Refused})
}

// snapshots takes a snapshot now, at each interval, and when ctx ends.
func (r *recorder) snapshots(ctx context.Context) error {
	ticker := time.NewTicker(r.config.Every)
	defer ticker.Stop()
	for round := 1; ; round++ {
		// Not with ctx: the last snapshot is taken when that has ended.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		err := r.snapshot(limited, round)
		cancel()
		if err != nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// snapshot takes a snapshot of each namespace. The processes of all are found at once.
func (r *recorder) snapshot(ctx context.Context, round int) error {
	dumpers, err := r.dumpAll(ctx, round)
	if err != nil {
		return err
	}
	sockets := owners.NewSockets(0)
	for _, d := range dumpers {
		for inode := range d.inodes {
			sockets.Add(inode)
		}
	}
	if sockets.Len() > 0 {
		if err := sockets.Find(ctx); err != nil {
			return err
		}
	}
	for i, d := range dumpers {
		b, err := d.end(sockets)
		if err != nil {
			return err
		}
		progress := Progress{}
		if i == 0 {
			progress.Snapshots = 1
		}
		if err := r.write(d, b, progress); err != nil {
			return err
		}
	}
	return nil
}

// dumpAll begins the snapshots of a round. A namespace that cannot be read is left out of
// the round, unless none can be read, and is read again in the next one.
func (r *recorder) dumpAll(ctx context.Context, round int) ([]*dumper, error) {
	if r.hosts == nil {
		return []*dumper{r.dump}, r.dump.begin(ctx, r.host, round)
	}
	if err := r.hosts.refresh(ctx); err != nil {
		return nil, err
	}
	var dumpers []*dumper
	var failed error
	for _, m := range r.hosts.list() {
		subject := "snapshot " + m.netns
		switch err := m.dump.begin(ctx, m.Host, round); {
		case err == nil:
			dumpers = append(dumpers, m.dump)
			r.hosts.forget(subject)
		case ctx.Err() != nil:
			return nil, err
		case r.hosts.member(m.inode) == m: // else it has gone meanwhile
			failed = fmt.Errorf("network namespace %s: %w", m.netns, err)
			r.hosts.warn(subject, fmt.Errorf("%w: it is left out until it can be read again", failed))
		}
	}
	if len(dumpers) == 0 && failed != nil {
		return nil, failed
	}
	return dumpers, nil
}

// tapEvent takes one message of the kernel.
func (r *recorder) tapEvent(netns string, t time.Time, msg []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.number(netns)
	r.pending = recording.AppendMessages(r.pending, number, t, recording.NetlinkGeneric, msg)
}

// tellFact takes a fact of a namespace.
func (r *recorder) tellFact(netns string, t time.Time, f *recording.Fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	number := r.number(netns) + 1
	var err error
	if r.pending, err = recording.AppendFactPacket(r.pending, number, t, f); err != nil {
		r.failed = errors.Join(r.failed, err)
	}
}

// batches returns the stream of events.
func (r *recorder) batches(ctx context.Context) iter.Seq2[[]mptcp.Event, error] {
	if r.hosts != nil {
		return r.hosts.Batches(ctx)
	}
	return r.host.Batches(ctx)
}

// readEvents writes events, those of a batch at once.
func (r *recorder) readEvents(ctx context.Context) error {
	for batch, err := range r.batches(ctx) {
		if err != nil {
			return err
		}
		var p Progress
		for i := range batch {
			e := &batch[i]
			if e.Type != mptcp.EventLost {
				p.Events++
				continue
			}
			p.Lost += e.Lost
			r.tellLoss(e)
		}
		if err := r.write(nil, nil, p); err != nil {
			return err
		}
	}
	return nil
}

// tellLoss takes a loss of events. That of a socket that many namespaces share has
// no name.
func (r *recorder) tellLoss(e *mptcp.Event) {
	netns, shared := e.Netns, false
	if r.hosts != nil && netns == "" {
		netns, shared = r.own().netns, true
	}
	r.tellFact(netns, e.Time, &recording.Fact{Fact: recording.FactLost, Lost: e.Lost, Shared: shared})
}

// write writes what is pending, and whole blocks, and tells of the progress. Blocks of
// a namespace that has gone meanwhile are dropped.
func (r *recorder) write(of *dumper, b []byte, more Progress) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if of != nil && of.gone {
		b = nil
	}
	if r.failed != nil {
		return r.failed
	}
	p := &r.progress
	for _, blocks := range [][]byte{r.pending, b} {
		if len(blocks) == 0 {
			continue
		}
		n, err := r.w.Write(blocks)
		p.Bytes += uint64(n)
		if err != nil {
			r.failed = fmt.Errorf("write the recording: %w", err)
			return r.failed
		}
	}
	r.pending = r.pending[:0]
	p.Events, p.Lost, p.Snapshots = p.Events+more.Events, p.Lost+more.Lost, p.Snapshots+more.Snapshots
	p.Refused = max(p.Refused, more.Refused)
	if r.config.Progress != nil {
		r.config.Progress(*p)
	}
	return nil
}
