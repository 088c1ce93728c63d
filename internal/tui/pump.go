package tui

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// framePause is the time between two frames at least.
const framePause = 100 * time.Millisecond

// processPause is how often the processes are looked for.
const processPause = 5 * time.Second

// pump runs the tracker and turns what it says into frames.
type pump struct {
	config  *Config
	tracker *track.Tracker

	mu      sync.Mutex
	deltas  []track.Delta // since the last frame
	skipped int           // that were let go of because no frame was taken
	ended   bool
	err     error
}

func newPump(c *Config) *pump {
	return &pump{config: c, tracker: track.New(c.Source, c.Tracker)}
}

// run runs until ctx ends; send is called with each frame and may block. A panic
// anywhere in it becomes the error of a frame, so that the terminal is restored
// before anybody hears of it.
func (p *pump) run(ctx context.Context, send func(frame)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	deltas := p.tracker.Deltas(ctx) // before the tracker runs: none is missed
	all.Go(func() { p.stop(guarded(func() error { return p.tracker.Run(ctx) })) })
	all.Go(func() { p.fail(guarded(func() error { return p.collect(deltas) })) })
	if p.config.Processes != nil {
		all.Go(func() { p.fail(guarded(func() error { return p.findProcesses(ctx) })) })
	}
	tick := time.NewTicker(framePause)
	defer tick.Stop()
	var shown *track.State
	var second int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		f := p.take(now)
		if f.state == shown && len(f.deltas) == 0 && f.err == nil && now.Unix() == second {
			continue
		}
		shown, second = f.state, now.Unix()
		send(f)
	}
}

// take makes the next frame.
func (p *pump) take(now time.Time) frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := frame{now: now, state: p.tracker.State(), deltas: p.deltas, ended: p.ended, err: p.err}
	if p.config.Replay {
		f.now = f.state.Time()
	}
	if p.skipped > 0 {
		f.deltas = slices.Insert(f.deltas, 0, overflow(p.skipped, f.now))
	}
	p.deltas, p.skipped = nil, 0
	return f
}

// overflow stands for deltas that could not be kept.
func overflow(n int, at time.Time) track.Delta {
	return track.Delta{
		Kind: track.KindOverflow, Name: track.KindOverflow.String(),
		Event: mptcp.Event{Type: mptcp.EventLost, Lost: uint64(n), Time: at},
	}
}

// collect keeps the deltas until the next frame, as many as the log can show.
func (p *pump) collect(deltas iter.Seq2[track.Delta, error]) error {
	for d, err := range deltas {
		if err != nil {
			return nil // that of the tracker, which stop has
		}
		p.mu.Lock()
		if len(p.deltas) >= logLength {
			p.skipped += logLength / 2
			p.deltas = slices.Clone(p.deltas[logLength/2:])
		}
		p.deltas = append(p.deltas, d)
		p.mu.Unlock()
	}
	return nil
}

// findProcesses names the processes that hold the connections, from time to time.
func (p *pump) findProcesses(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		pause := processPause
		wanted := map[uint32]bool{}
		for c := range p.tracker.State().Connections() {
			if c.Inode != 0 {
				wanted[c.Inode] = true
			}
		}
		if len(wanted) > 0 {
			began := time.Now()
			found, err := p.config.Processes(ctx, func(inode uint32) bool { return wanted[inode] })
			if err == nil { // without them all else is shown
				p.tracker.SetProcesses(found)
			}
			pause = max(pause, 50*time.Since(began))
		} else {
			pause = time.Second
		}
		timer.Reset(pause)
	}
}

// stop takes the outcome of the tracker.
func (p *pump) stop(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.err == nil {
		p.err = err
	}
}

// fail takes an error of another goroutine.
func (p *pump) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}
