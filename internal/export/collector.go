package export

import (
	"cmp"
	"context"
	"io"
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

	// Findings returns what doctor found, nil where it does not know; it must be
	// cheap. Nil: there is no doctor.
	Findings func() []Finding

	// Engine tells how events come at present. Nil, or "": the state is polled without
	// them.
	Engine func() string

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

// sampling is how often the figures of the subflows are added up.
const sampling = 5 * time.Second

// Collector gathers the metrics. Make one with New; what is counted over time is
// counted while Run runs.
type Collector struct {
	config Config

	mu          sync.Mutex // guards what follows
	events      *family
	lost        *family
	closes      *family
	fallbacks   *family
	rtt         *family
	sent        *family
	received    *family
	resent      *family
	perConn     *family
	figures     map[subflowKey]figures
	namespaces  map[string]bool // that had series when it was sampled last
	primed      bool            // the first sample was taken
	round       uint64
	overflowing float64
}

// subflowKey tells a subflow from all others, also from a later one with the same
// addresses.
type subflowKey struct {
	connection    mptcp.Key
	local, remote netip.AddrPort
	cookie        uint64
}

// figures are what a subflow had when it was sampled last.
type figures struct {
	sent, received, resent uint64
	round                  uint64
}

// New makes a collector.
func New(c Config) *Collector {
	return &Collector{
		config:    c,
		events:    newFamily(counter, "mptcp_events_total", "Events of the kernel's path manager, and what was derived beside them.", "netns", "event"),
		lost:      newFamily(counter, "mptcp_events_lost_total", "Events that the kernel dropped because they were not read in time.", "netns"),
		closes:    newFamily(counter, "mptcp_subflow_closes_total", "Subflows that ended while their connection went on, by reset reason and error.", "netns", "device", "reason", "errno"),
		fallbacks: newFamily(counter, "mptcp_fallbacks_total", "Connections that were seen to fall back to plain TCP, by the counter that tells why.", "netns", "cause"),
		rtt:       newFamily(histogram, "mptcp_subflow_rtt_seconds", "Smoothed round-trip times of the established subflows, each sampled every 5 seconds.", "netns", "device"),
		sent:      newFamily(counter, "mptcp_device_sent_bytes_total", "Bytes sent on subflows, sampled every 5 seconds: what a subflow sent after its last sample is missing.", "netns", "device"),
		received:  newFamily(counter, "mptcp_device_received_bytes_total", "Bytes received on subflows, sampled every 5 seconds: what a subflow received after its last sample is missing.", "netns", "device"),
		resent:    newFamily(counter, "mptcp_retransmitted_bytes_total", "Bytes retransmitted on subflows, sampled every 5 seconds.", "netns", "device"),
		perConn:   newFamily(histogram, "mptcp_connection_subflows", "Subflows of each connection, sampled every 5 seconds.", "netns"),
		figures:   make(map[subflowKey]figures),
	}
}

// Run counts until ctx is done, and then returns nil, or until the tracker ends,
// and then returns its error. It may be called once.
func (c *Collector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var adding sync.WaitGroup
	adding.Go(func() { c.sampleEvery(ctx) })
	defer adding.Wait()
	defer cancel()
	for delta, err := range c.config.Tracker.Deltas(ctx) {
		if err != nil {
			return err
		}
		c.count(&delta)
	}
	return nil
}

func (c *Collector) sampleEvery(ctx context.Context) {
	for {
		changed := c.config.Tracker.Changed()
		if len(c.config.Tracker.State().Namespaces()) > 0 {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-changed: // the first dump
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

// count takes one delta into account.
func (c *Collector) count(d *track.Delta) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, netns := &d.Event, d.Event.Netns
	switch {
	case d.Kind == track.KindOverflow:
		c.overflowing += float64(e.Lost)
		return
	case e.Type == mptcp.EventLost:
		c.lost.add(float64(e.Lost), netns)
		return
	case d.Kind == track.KindFallback:
		cause := d.Cause
		if cause == "" {
			cause = "unknown"
		}
		c.fallbacks.add(1, netns, cause)
	case e.Type == mptcp.EventSubflowClosed:
		c.countClose(e)
	}
	c.events.add(1, netns, d.Name)
}

func (c *Collector) countClose(e *mptcp.Event) {
	reason, errno, device := "none", "none", ""
	if e.Has(mptcp.FieldResetReason) {
		reason = e.ResetReason.String()
	}
	if e.Has(mptcp.FieldError) && e.Error != 0 {
		errno = e.Error.Name()
	}
	if local, ok := e.Local(); ok {
		device = deviceOf(c.config.Tracker.State(), e.Netns, local.Addr(), e.IfIndex)
	}
	c.closes.add(1, e.Netns, device, reason, errno)
}

// deviceOf returns the device that a subflow is bound to, else the one that holds
// its address, "" where that is gone.
func deviceOf(s *track.State, netns string, local netip.Addr, index int32) string {
	for _, n := range s.Namespaces() {
		if n.Netns != netns {
			continue
		}
		wanted := uint32(max(index, 0))
		for i := 0; wanted == 0 && i < len(n.Addresses); i++ {
			if n.Addresses[i].Addr == local {
				wanted = n.Addresses[i].IfIndex
			}
		}
		for _, l := range n.Links {
			if l.Index == wanted {
				return l.Name
			}
		}
	}
	return ""
}

// Bounds of the histograms: in seconds, and in subflows.
var (
	rttBounds     = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2}
	subflowBounds = []float64{0, 1, 2, 3, 4, 8}
)

// sample adds what the subflows carried since the last sample. What was carried
// before the first one was before our time.
func (c *Collector) sample(s *track.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(s.Namespaces()) == 0 {
		return // nothing was read yet
	}
	c.round++
	for t := range s.All() {
		k := t.Connection.Netns
		c.perConn.observe(subflowBounds, float64(len(t.Connection.Subflows)), k)
		for i := range t.Connection.Subflows {
			c.sampleSubflow(t.Key, &t.Connection.Subflows[i])
		}
	}
	for key, f := range c.figures {
		if f.round != c.round {
			delete(c.figures, key)
		}
	}
	c.primed = true
	c.forgetNamespaces(s)
}

// forgetNamespaces drops the series of network namespaces that have gone: on a host
// where containers come and go their number would grow without end.
func (c *Collector) forgetNamespaces(s *track.State) {
	now := map[string]bool{}
	for _, n := range s.Namespaces() {
		now[n.Netns] = true
	}
	for name := range c.namespaces {
		if !now[name] {
			for _, f := range c.counted() {
				f.forget(name)
			}
		}
	}
	c.namespaces = now
}

func (c *Collector) sampleSubflow(k mptcp.Key, f *mptcp.Subflow) {
	key := subflowKey{k, f.Local, f.Remote, f.Cookie}
	before, known := c.figures[key]
	now := figures{f.BytesSent, f.BytesReceived, f.BytesRetransmitted, c.round}
	c.figures[key] = now
	if f.State == mptcp.SubflowEstablished && f.RTTMicros > 0 {
		c.rtt.observe(rttBounds, float64(f.RTTMicros)/1e6, k.Netns, f.Device)
	}
	if !known && !c.primed {
		before = now
	}
	c.sent.add(float64(now.sent-min(before.sent, now.sent)), k.Netns, f.Device)
	c.received.add(float64(now.received-min(before.received, now.received)), k.Netns, f.Device)
	c.resent.add(float64(now.resent-min(before.resent, now.resent)), k.Netns, f.Device)
}

// Write writes all metrics in the text format.
func (c *Collector) Write(w io.Writer) error {
	began := time.Now()
	state := c.config.Tracker.State()
	var b []byte
	for _, f := range gather(state) {
		b = f.append(b)
	}
	b = c.appendCounted(b, state)
	b = c.appendOwn(b, began)
	_, err := w.Write(b)
	return err
}

// appendCounted appends what was counted over time.
func (c *Collector) appendCounted(b []byte, s *track.State) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range s.Namespaces() {
		c.lost.add(0, n.Netns) // so that there is a series before the first loss
	}
	for _, f := range c.counted() {
		b = f.append(b)
	}
	return b
}

// counted returns the metrics that are counted over time.
func (c *Collector) counted() []*family {
	return []*family{c.events, c.lost, c.closes, c.fallbacks, c.rtt, c.sent, c.received, c.resent, c.perConn}
}

// appendOwn appends the metrics of the exporter itself.
func (c *Collector) appendOwn(b []byte, began time.Time) []byte {
	if c.config.Findings != nil {
		f := newFamily(gauge, "mptcp_doctor_findings", "What doctor found last.", "netns", "rule", "severity")
		for _, one := range c.config.Findings() {
			f.add(1, one.Netns, one.Rule, one.Severity)
		}
		b = f.append(b)
	}
	c.mu.Lock()
	overflowing := c.overflowing
	c.mu.Unlock()
	missed := newFamily(counter, "mptcp_exporter_events_uncounted_total", "Events that came faster than they could be counted here; the state is right all the same.")
	missed.set(overflowing)
	took := newFamily(gauge, "mptcp_exporter_collect_duration_seconds", "How long it took to gather these metrics.")
	took.set(time.Since(began).Seconds())
	build := newFamily(gauge, "mptcp_exporter_build_info", "The program's version; the value is always 1.", "version", "goversion")
	build.set(1, c.config.Version, c.config.GoVersion)
	engine := newFamily(gauge, "mptcp_monitor_engine_info", "How the kernel's events come; the value is always 1. With none the state is polled.", "engine")
	engine.set(1, c.engine())
	return build.append(engine.append(took.append(missed.append(b))))
}
