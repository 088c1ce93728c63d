package force

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	young    = time.Second           // how long a socket is looked at often
	often    = 20 * time.Millisecond // how often
	patience = 2 * time.Second       // the supervisor answers within that, or is gone
)

// observer asks the supervisor for the sockets and looks at what becomes of them.
type observer struct {
	voice    int
	report   io.Writer
	lookup   func([]uint64) map[uint64]Used
	interval time.Duration
	seq      uint32
	buf      []byte
	sockets  []*observed
	lost     int
	served   bool
	alive    bool
	silent   error // why the supervisor gave no last answer
}

func newObserver(c *Config, voice int, report io.Writer) *observer {
	o := &observer{
		voice: voice, report: report, lookup: c.Lookup, interval: c.Interval,
		buf: make([]byte, maxAnswer),
	}
	if o.interval <= 0 {
		o.interval = 250 * time.Millisecond
	}
	// The supervisor may be gone, by force: no wait is without end.
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	_ = unix.SetsockoptTimeval(voice, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	return o
}

// start begins to look; the function it returns ends that, and waits until it has
// ended.
func (o *observer) start() (stop func(), err error) {
	var end [2]int
	if err := unix.Pipe2(end[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	var running sync.WaitGroup
	running.Go(func() { o.run(end[0]) })
	return func() {
		unix.Close(end[1])
		running.Wait()
		unix.Close(end[0])
	}, nil
}

// run looks when the supervisor has news, and again and again while there are
// sockets to look at, until end hangs up.
func (o *observer) run(end int) {
	voice := o.voice
	for {
		fds := []unix.PollFd{{Fd: int32(end), Events: unix.POLLIN}, {Fd: int32(voice), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, o.pause(time.Now())); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[0].Revents != 0 {
			return
		}
		if fds[1].Revents != 0 && o.ask() != nil {
			voice = -1 // the last question tells
		}
		o.look(time.Now())
	}
}

// pause returns the milliseconds until the next look, -1 where there is nothing to
// look at.
func (o *observer) pause(now time.Time) int {
	pause := -1
	for _, s := range o.sockets {
		switch {
		case o.lookup == nil || !s.watched():
		case now.Sub(s.Time) < young:
			return int(often.Milliseconds())
		default:
			pause = int(o.interval.Milliseconds())
		}
	}
	return pause
}

// finish asks a last time.
func (o *observer) finish() { o.silent = o.ask() }

// ask asks the supervisor until it has told everything.
func (o *observer) ask() error {
	for {
		a, err := o.question()
		if err != nil {
			return err
		}
		if !a.More {
			return nil
		}
	}
}

// question asks once. An answer that comes after its time is taken with the next.
func (o *observer) question() (*answer, error) {
	o.seq++
	if err := unix.Send(o.voice, encodeQuestion(o.seq), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT); err != nil {
		return nil, err
	}
	for {
		n, _, err := unix.Recvfrom(o.voice, o.buf, 0)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n == 0:
			return nil, io.EOF
		}
		a, err := decodeAnswer(o.buf[:n])
		if err != nil {
			return nil, err
		}
		o.take(a)
		if a.Seq == o.seq {
			return a, nil
		}
	}
}

// take adds an answer to what is known, and says the notices.
func (o *observer) take(a *answer) {
	for _, text := range a.Notices {
		fmt.Fprintln(o.report, text)
	}
	for _, s := range a.Sockets {
		if len(o.sockets) >= maxObserved {
			o.lost++
			continue
		}
		o.sockets = append(o.sockets, &observed{Socket: s})
	}
	o.lost += a.Lost
	o.served, o.alive = o.served || a.Served, a.Alive
}

// look asks the kernel about the sockets that were not found ended.
func (o *observer) look(now time.Time) {
	if o.lookup == nil {
		return
	}
	wanted := make(map[uint64]*observed)
	var cookies []uint64
	for _, s := range o.sockets {
		if s.watched() {
			wanted[s.Cookie] = s
			cookies = append(cookies, s.Cookie)
		}
	}
	if len(cookies) == 0 {
		return
	}
	found := o.lookup(cookies)
	for cookie, s := range wanted {
		used, known := found[cookie]
		s.look(used, known, now)
	}
}

// write writes the report.
func (o *observer) write(name string) {
	r := report{
		Sockets: o.sockets, Lost: o.lost, Served: o.served, Alive: o.alive,
		Looked: o.lookup != nil, Silent: o.silent,
	}
	_, _ = io.WriteString(o.report, r.text(name))
}
