package serve

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/history"
	"mptcpctl/internal/kernel"
	"mptcpctl/track"
)

// History says where and how long what happens is kept.
type History struct {
	Folder string
	history.Config
}

const (
	// busySecond is how many lines a second the history has in full.
	busySecond = 200
	// keptEnds is how many connections that ended the tracker keeps for the historian.
	keptEnds = 8192
	// mostHeld is how many bytes wait for the end of the second.
	mostHeld = 1 << 20
)

// historian writes down what the tracker sees.
type historian struct {
	writer *history.Writer
	log    *slog.Logger
	state  func() *track.State
	// found returns what doctor found last, and when; nothing where that was before since.
	found func(since time.Time) (list []chronicle.Finding, at time.Time, news bool)

	mu      sync.Mutex
	teller  *chronicle.Teller
	begun   bool
	early   []track.Delta // what came before the first file was begun
	text    []byte        // lines that are not written yet
	written uint64        // number of the last line that was written, or given up
	minute  time.Time
	judged  time.Time // when doctor found what was told last
}

// makeHistory makes the folder for the user that the server is about to become.
func (c *Config) makeHistory() error {
	if c.History == nil {
		return nil
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if id := c.identity(); id != nil {
		uid, gid = id.UID, id.GID
	}
	if err := history.Make(c.History.Folder, uid, gid); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}

// openHistory opens the folder, as the user that the server has become.
func (c *Config) openHistory(from *Source) (*historian, error) {
	if c.History == nil {
		return nil, nil
	}
	config := c.History.Config
	config.Log = c.Log
	writer, last, err := history.Open(c.History.Folder, &config)
	if errors.Is(err, os.ErrPermission) {
		return nil, fmt.Errorf("history: user %d, as which the server goes on, must be able to reach and write %s: "+
			"choose another folder, or another user with --user: %w", os.Geteuid(), c.History.Folder, err)
	}
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "" // a name of nothing
	}
	c.Log.Info("history", "folder", c.History.Folder, "lines", last)
	return &historian{
		writer: writer, log: c.Log, written: last,
		teller: chronicle.NewTeller(&chronicle.Config{
			Host: host, Boot: boot(), Run: rand.Text(), Program: "mptcpctl " + c.Version, Kernel: kernel.Release(),
			NoEvents: from.noEvents, Device: from.device, Busy: busySecond,
		}, last),
	}, nil
}

// boot returns what tells this boot of the host from others, "" where the kernel has none.
func boot() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// keepHistory returns the part of the service that writes the history. Like the parts that
// follow, it takes the deltas before the tracker runs.
func (s *service) keepHistory(ctx context.Context) func(context.Context) error {
	h := s.historian
	if h == nil {
		return func(context.Context) error { return nil }
	}
	h.state, h.found = s.tracker.State, s.judge.told
	return s.following(ctx, h.run)
}

// run writes until ctx is done.
func (h *historian) run(ctx context.Context, deltas iter.Seq2[track.Delta, error]) error {
	var ticking sync.WaitGroup
	ticking.Go(func() { h.tickEvery(ctx) })
	for d, err := range deltas {
		if err != nil {
			break // the tracker tells of its end itself
		}
		h.note(&d)
	}
	ticking.Wait()
	h.finish()
	return nil
}

func (h *historian) note(d *track.Delta) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.begun {
		h.early = append(h.early, *d)
		return
	}
	h.text = h.teller.Delta(h.text, d)
	if len(h.text) > mostHeld {
		h.write(time.Now())
	}
}

func (h *historian) tickEvery(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			h.tick(now)
		}
	}
}

// tick writes what happened in the second that ends.
func (h *historian) tick(now time.Time) {
	state := h.state()
	if len(state.Namespaces()) == 0 {
		return // nothing is known yet
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writer.Due(now) {
		h.write(now)
		first := h.teller.Last() + 1
		if len(h.text) > 0 {
			first-- // the line that says what is missing
		}
		if err := h.writer.Begin(now, first); err != nil {
			h.log.Warn("history", "error", err)
		}
		h.text = h.teller.Begin(h.text, state)
	}
	if !h.begun {
		h.begun = true
		for i := range h.early {
			h.text = h.teller.Delta(h.text, &h.early[i])
		}
		h.early = nil
	}
	h.text = h.teller.Look(h.text, state, now)
	if now.Sub(h.minute).Abs() >= time.Minute {
		h.minute = now
		h.text = h.teller.Minute(h.text, state)
		h.writer.Keep(now)
	}
	if list, at, news := h.found(h.judged); news {
		h.judged = at
		h.text = h.teller.Findings(h.text, at, list)
	}
	h.write(now)
}

// write writes what waits. What cannot be kept is replaced by the line that says how much is
// missing, which is then tried again. The caller holds mu.
func (h *historian) write(now time.Time) {
	last := h.teller.Last()
	if len(h.text) == 0 {
		return
	}
	err := h.writer.Write(now, h.text, last)
	h.text = h.text[:0]
	if errors.Is(err, history.ErrDropped) {
		h.text = h.teller.Dropped(h.text, now, last-h.written, "disk")
		return
	}
	h.written = last
}

// finish writes the end, and the ends of connections whose last figures will not be waited
// for.
func (h *historian) finish() {
	now := time.Now()
	h.tick(now)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text = h.teller.Look(h.text, h.state(), now.Add(time.Hour))
	h.text = h.teller.Stop(h.text, now)
	h.write(now)
}

// Close closes the history.
func (h *historian) Close() error {
	if h == nil {
		return nil
	}
	if err := h.writer.Close(); err != nil {
		h.log.Warn("the history was not closed in order", "error", err)
	}
	return nil
}

// told returns what doctor found last and when, for the history; no news where that was
// told already.
func (j *judge) told(since time.Time) (list []chronicle.Finding, at time.Time, news bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.report == nil || !j.at.After(since) {
		return nil, since, false
	}
	for i := range j.report.Findings {
		f := &j.report.Findings[i]
		subject, err := json.Marshal(f.Subject)
		if err != nil {
			continue
		}
		object, err := json.Marshal(f)
		if err != nil {
			continue
		}
		list = append(list, chronicle.Finding{Name: string(f.Rule) + " " + string(subject), Object: object})
	}
	return list, j.at, true
}
