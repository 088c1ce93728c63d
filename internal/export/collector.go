package export

import (
	"cmp"
	"context"
	"io"
	"iter"
	"net/netip"
	"sync"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Finding is how often doctor found something, for the metrics.
type Finding struct {
	Netns, Rule, Severity string
}

// Config says what a Collector reads. Tracker must be set.
type Config struct {
	Tracker *track.Tracker

	// Findings returns what doctor found last, when that was, the zero time for never, and
	// how often it found nothing out; it must be cheap. Nil: there is no doctor.
	Findings func() (found []Finding, at time.Time, failed uint64)

	// Engine tells how events come at present. Nil, or "": the state is polled without
	// them.
	Engine func() string

	// Refused returns how many callers of the server were refused, by reason. Nil: there
	// is no server.
	Refused func() map[string]uint64

	Version   string // of the program
	GoVersion string // that it was built with
}

// engine tells how events come at present.
func (c *Collector) engine() string {
	if c.config.Engine == nil {
		return "none"
	}
	return cmp.Or(c.config.Engine(), "none")
}

// Collector gathers the metrics. Make one with New; what is counted over time is
// counted while Run runs.
//
// Nobody waits for anybody: events are added to a book of which a scrape takes a copy
// that the next event leaves alone, and the figures of the subflows are added up by one
// goroutine, which renders them and hands over the text.
type Collector struct {
	config  Config
	book    *book
	sampler *sampler
}

// New makes a collector.
func New(c Config) *Collector {
	return &Collector{config: c, book: newBook(), sampler: newSampler()}
}

// Run counts until ctx is done, and then returns nil, or until the tracker ends,
// and then returns its error. The deltas are those of [track.Tracker.Deltas], taken
// before the tracker runs: none is missing then. It may be called once.
func (c *Collector) Run(ctx context.Context, deltas iter.Seq2[track.Delta, error]) error {
	ctx, cancel := context.WithCancel(ctx)
	var adding sync.WaitGroup
	adding.Go(func() { c.sampleEvery(ctx) })
	defer adding.Wait()
	defer cancel()
	for delta, err := range deltas {
		if err != nil {
			return err
		}
		c.count(&delta)
	}
	return nil
}

// sampleEvery adds the figures up again and again, from the first dump on.
func (c *Collector) sampleEvery(ctx context.Context) {
	for {
		changed := c.config.Tracker.Changed()
		if len(c.config.Tracker.State().Namespaces()) > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
	ticker := time.NewTicker(sampling)
	defer ticker.Stop()
	for {
		c.sample(c.config.Tracker.State())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sample adds up what the subflows of the state carried. The book forgets the network
// namespaces that have gone: on a host where containers come and go the number of
// their series would grow without end.
func (c *Collector) sample(s *track.State) {
	for _, netns := range c.sampler.add(s) {
		c.book.forget(netns)
	}
}

// count takes one delta into account.
func (c *Collector) count(d *track.Delta) {
	device := ""
	if local, ok := d.Event.Local(); ok && d.Event.Type == mptcp.EventSubflowClosed {
		device = closedOn(c.config.Tracker.State(), d.Event.Netns, local.Addr(), d.Event.IfIndex)
	}
	c.book.count(d, device)
}

// closedOn returns the device that a closed subflow was bound to, else the one that holds
// its address, "" where that is gone.
func closedOn(s *track.State, netns string, local netip.Addr, index int32) string {
	n := s.Namespace(netns)
	if n == nil {
		return ""
	}
	wanted := uint32(max(index, 0))
	for i := 0; wanted == 0 && i < len(n.Addresses); i++ {
		if n.Addresses[i].Addr == local {
			wanted = n.Addresses[i].IfIndex
		}
	}
	for i := range n.Links {
		if n.Links[i].Index == wanted {
			return n.Links[i].Name
		}
	}
	return ""
}

// Write writes all metrics in the text format.
func (c *Collector) Write(w io.Writer) error {
	began := time.Now()
	state := c.config.Tracker.State()
	var b []byte
	for _, f := range gather(state) {
		b = f.append(b)
	}
	counted := c.book.frozen()
	for _, n := range state.Namespaces() {
		counted.known(n.Netns)
	}
	for _, f := range counted.families() {
		b = f.append(b)
	}
	b = append(b, c.sampler.text()...)
	b = c.appendOwn(b, began, counted.overflowing)
	_, err := w.Write(b)
	return err
}

// appendOwn appends the metrics of the exporter itself.
func (c *Collector) appendOwn(b []byte, began time.Time, overflowing float64) []byte {
	if c.config.Findings != nil {
		f := newFamily(gauge, "mptcp_doctor_findings", "What doctor found last.", "netns", "rule", "severity")
		found, at, failures := c.config.Findings()
		for _, one := range found {
			f.add(1, one.Netns, one.Rule, one.Severity)
		}
		b = f.append(b)
		last := newFamily(gauge, "mptcp_doctor_last_report_timestamp_seconds",
			"When doctor found that, in seconds since 1970; 0: it has not yet.")
		last.set(0)
		if !at.IsZero() {
			last.set(float64(at.UnixMilli()) / 1000)
		}
		failed := newFamily(counter, "mptcp_doctor_failures_total", "Times that doctor looked and could not tell.")
		failed.set(float64(failures))
		b = failed.append(last.append(b))
	}
	if c.config.Refused != nil {
		refused := newFamily(
			counter, "mptcp_exporter_refused_requests_total", "Callers of the server that were refused.", "reason",
		)
		for reason, n := range c.config.Refused() {
			refused.set(float64(n), reason)
		}
		b = refused.append(b)
	}
	missed := newFamily(counter, "mptcp_exporter_events_uncounted_total",
		"Events that came faster than they could be counted here; the state is right all the same.")
	missed.set(overflowing)
	took := newFamily(gauge, "mptcp_exporter_collect_duration_seconds", "How long it took to gather these metrics.")
	took.set(time.Since(began).Seconds())
	build := newFamily(gauge, "mptcp_exporter_build_info", "The program's version; the value is always 1.",
		"version", "goversion")
	build.set(1, c.config.Version, c.config.GoVersion)
	engine := newFamily(gauge, "mptcp_monitor_engine_info",
		"How the kernel's events come; the value is always 1. With none the state is polled.", "engine")
	engine.set(1, c.engine())
	return build.append(engine.append(took.append(missed.append(b))))
}
