package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"mptcpctl/internal/pcapng"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// RecordConfig says how to record. The zero value, and nil, mean the defaults.
type RecordConfig struct {
	Program string        // name and version of the program that records
	Every   time.Duration // between two dumps; 0: 5 s

	// Events is how to subscribe to events, nil for dumps without events. They
	// need CAP_NET_ADMIN in the network namespace.
	Events *pathmanager.ListenConfig

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

// The interfaces of a recording: those with an even number hold netlink messages,
// the one behind it facts of the same namespace.
const (
	interfaceMessages = 0
	interfaceFacts    = 1
)

// Record writes what the kernel says of the calling thread's network namespace to
// w, until ctx ends: the path manager's events as they come, and all dumps that a
// command may ask for at the beginning, at intervals and at the end. See
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
	host   *Host
	dump   dumper // of the goroutine that takes snapshots
	events []byte // blocks of the batch that is being read; of the reading goroutine

	mu       sync.Mutex // guards what follows
	w        io.Writer
	err      error // the first failure to write
	progress Progress
}

func (r *recorder) run(ctx context.Context) (err error) {
	config := &Config{taps: taps{pathManager: r.dump.pathManager, sockets: r.dump.sockets}}
	if r.config.Events != nil {
		listen := *r.config.Events
		listen.Tap = r.tapEvent
		config.Events = &listen
	}
	if r.host, err = Dial(config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.host.Close()) }()
	if err := r.begin(); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var tasks sync.WaitGroup
	var broken error
	if r.host.listener != nil {
		tasks.Go(func() {
			if broken = r.readEvents(reading); broken != nil {
				fail(broken)
			}
		})
	}
	err = r.snapshots(ctx)
	stop()
	tasks.Wait()
	return errors.Join(err, broken, r.stop())
}

// begin writes what stands before all else.
func (r *recorder) begin() error {
	release := kernelRelease()
	b := pcapng.AppendSection(nil, pcapng.Section{OS: "Linux " + release, Application: r.config.Program})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeNetlink, Description: "netlink messages"})
	b = pcapng.AppendInterface(b, pcapng.Interface{LinkType: pcapng.LinkTypeUser0, Description: "facts (JSON)"})
	now := time.Now()
	b = appendMessages(b, now, netlinkGeneric, r.host.pm.Family().Raw)
	b, err := appendFactPacket(b, now, &fact{
		Fact: factRecording, Version: formatVersion, Kernel: release, Program: r.config.Program, Events: r.host.listener != nil,
	})
	if err != nil {
		return err
	}
	return r.write(b, Progress{})
}

// stop writes what stands at the end.
func (r *recorder) stop() error {
	f := &fact{Fact: factStop}
	if r.host.listener != nil {
		f.Refused = r.host.listener.Refused()
	}
	b, err := appendFactPacket(nil, time.Now(), f)
	if err != nil {
		return err
	}
	return r.write(b, Progress{Refused: f.Refused})
}

// snapshots takes a snapshot now, at each interval, and when ctx ends.
func (r *recorder) snapshots(ctx context.Context) error {
	ticker := time.NewTicker(r.config.Every)
	defer ticker.Stop()
	for {
		// Not with ctx: the last snapshot is taken when that has ended.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		err := r.snapshot(limited)
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

func (r *recorder) snapshot(ctx context.Context) error {
	b, err := r.dump.take(ctx, r.host)
	if err != nil {
		return err
	}
	return r.write(b, Progress{Snapshots: 1})
}

// tapEvent takes one message of the kernel.
func (r *recorder) tapEvent(t time.Time, _ int32, msg []byte) {
	r.events = appendMessages(r.events, t, netlinkGeneric, msg)
}

// readEvents writes events, those of a batch at once.
func (r *recorder) readEvents(ctx context.Context) error {
	for batch, err := range r.host.listener.Batches(ctx) {
		if err != nil {
			return err
		}
		var p Progress
		for i := range batch {
			if batch[i].Type != mptcp.EventLost {
				p.Events++
				continue
			}
			p.Lost += batch[i].Lost
			if r.events, err = appendFactPacket(r.events, batch[i].Time, &fact{Fact: factLost, Lost: batch[i].Lost}); err != nil {
				return err
			}
		}
		err = r.write(r.events, p)
		r.events = r.events[:0]
		if err != nil {
			return err
		}
	}
	return nil
}

// write writes whole blocks and tells of the progress.
func (r *recorder) write(b []byte, more Progress) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	n, err := r.w.Write(b)
	p := &r.progress
	p.Bytes += uint64(n)
	if err != nil {
		r.err = fmt.Errorf("write the recording: %w", err)
		return r.err
	}
	p.Events, p.Lost, p.Snapshots = p.Events+more.Events, p.Lost+more.Lost, p.Snapshots+more.Snapshots
	p.Refused = max(p.Refused, more.Refused)
	if r.config.Progress != nil {
		r.config.Progress(*p)
	}
	return nil
}

// appendMessages appends a packet with netlink messages of one family.
func appendMessages(b []byte, t time.Time, family uint16, messages []byte) []byte {
	packet := append(appendCooked(make([]byte, 0, cookedSize+len(messages)), family), messages...)
	return pcapng.AppendPacket(b, pcapng.Packet{Interface: interfaceMessages, Time: t, Data: packet})
}

// appendFactPacket appends a packet with a fact.
func appendFactPacket(b []byte, t time.Time, f *fact) ([]byte, error) {
	text, err := appendFact(nil, f)
	if err != nil {
		return b, err
	}
	if len(text) > pcapng.MaxPacket {
		return b, fmt.Errorf("%s: %d bytes are too many for a recording", f.Fact, len(text))
	}
	return pcapng.AppendPacket(b, pcapng.Packet{Interface: interfaceFacts, Time: t, Data: text}), nil
}

// kernelRelease returns the running kernel's release, "" where it is not told.
func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
