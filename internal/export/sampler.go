package export

import (
	"sync/atomic"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// sampling is how often the figures of the subflows are added up.
const sampling = 5 * time.Second

// Bounds of the histograms: in seconds, and in subflows.
var (
	rttBounds     = []float64{0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2}
	subflowBounds = []float64{0, 1, 2, 3, 4, 8}
)

// sampler adds up what subflows carry. One goroutine calls add; text may be called by
// any.
type sampler struct {
	before   *track.State // that was sampled last; nil before the first
	carried  map[place]*carriage
	perConn  map[string]*spread // by network namespace
	rendered atomic.Pointer[[]byte]
}

// place is where a subflow carries its bytes.
type place struct{ netns, device string }

// carriage is what all subflows of a place carried since the first sample.
type carriage struct {
	sent, received, resent uint64
	rtt                    *spread // nil: no round-trip time was seen
}

func newSampler() *sampler {
	return &sampler{carried: make(map[place]*carriage), perConn: make(map[string]*spread)}
}

// text returns the metrics as of the last sample. Nobody may change it.
func (p *sampler) text() []byte {
	if b := p.rendered.Load(); b != nil {
		return *b
	}
	return nil
}

// add adds what the subflows carried since the last sample, and returns the network
// namespaces that are gone since then. What was carried before the first sample was
// before our time. Sums are by place, and rendered once, however many subflows there
// are.
func (p *sampler) add(s *track.State) (gone []string) {
	namespaces := s.Namespaces()
	if len(namespaces) == 0 {
		return nil // nothing was read yet
	}
	for now, then := range s.Since(p.before) {
		p.addConnection(now, then)
	}
	gone = p.forget(namespaces)
	p.before = s
	var b []byte
	for _, f := range p.families() {
		b = f.append(b)
	}
	p.rendered.Store(&b)
	return gone
}

func (p *sampler) addConnection(now, then *track.Tracked) {
	c := &now.Connection
	perConn := p.perConn[c.Netns]
	if perConn == nil {
		perConn = newSpread(subflowBounds)
		p.perConn[c.Netns] = perConn
	}
	perConn.observe(float64(len(c.Subflows)))
	for i := range c.Subflows {
		f := &c.Subflows[i]
		k := p.carried[place{c.Netns, f.Device}]
		if k == nil {
			k = &carriage{}
			p.carried[place{c.Netns, f.Device}] = k
		}
		k.observe(f)
		if before := same(f, then); before != nil {
			k.sent += f.BytesSent - min(before.BytesSent, f.BytesSent)
			k.received += f.BytesReceived - min(before.BytesReceived, f.BytesReceived)
			k.resent += f.BytesRetransmitted - min(before.BytesRetransmitted, f.BytesRetransmitted)
		} else if p.before != nil {
			k.sent += f.BytesSent
			k.received += f.BytesReceived
			k.resent += f.BytesRetransmitted
		}
	}
}

// observe takes the round-trip time of an established subflow into account.
func (k *carriage) observe(f *mptcp.Subflow) {
	if f.State != mptcp.SubflowEstablished || f.RTTMicros == 0 {
		return
	}
	if k.rtt == nil {
		k.rtt = newSpread(rttBounds)
	}
	k.rtt.observe(float64(f.RTTMicros) / 1e6)
}

// same returns the subflow as it was before, or nil.
func same(f *mptcp.Subflow, then *track.Tracked) *mptcp.Subflow {
	if then == nil {
		return nil
	}
	for i := range then.Connection.Subflows {
		b := &then.Connection.Subflows[i]
		if b.Local == f.Local && b.Remote == f.Remote && b.Cookie == f.Cookie {
			return b
		}
	}
	return nil
}

// forget drops the sums of network namespaces that have gone, and returns their names.
func (p *sampler) forget(namespaces []track.Snapshot) (gone []string) {
	if p.before == nil {
		return nil
	}
	here := make(map[string]bool, len(namespaces))
	for i := range namespaces {
		here[namespaces[i].Netns] = true
	}
	for _, n := range p.before.Namespaces() {
		if !here[n.Netns] {
			gone = append(gone, n.Netns)
			delete(p.perConn, n.Netns)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	for k := range p.carried {
		if !here[k.netns] {
			delete(p.carried, k)
		}
	}
	return gone
}

// families returns the metrics in the order in which they are written.
func (p *sampler) families() []*family {
	rtt := newFamily(histogram, "mptcp_subflow_rtt_seconds",
		"Smoothed round-trip times of the established subflows, each sampled every 5 seconds.", "netns", "device")
	sent := newFamily(counter, "mptcp_device_sent_bytes_total",
		"Bytes sent on subflows, sampled every 5 seconds: what a subflow sent after its last sample is missing.",
		"netns", "device")
	received := newFamily(
		counter,
		"mptcp_device_received_bytes_total",
		"Bytes received on subflows, sampled every 5 seconds: what a subflow received after its last sample is "+
			"missing.",
		"netns",
		"device",
	)
	resent := newFamily(counter, "mptcp_retransmitted_bytes_total",
		"Bytes retransmitted on subflows, sampled every 5 seconds.", "netns", "device")
	perConn := newFamily(histogram, "mptcp_connection_subflows",
		"Subflows of each connection, sampled every 5 seconds.", "netns")
	for k, c := range p.carried {
		sent.set(float64(c.sent), k.netns, k.device)
		received.set(float64(c.received), k.netns, k.device)
		resent.set(float64(c.resent), k.netns, k.device)
		if c.rtt != nil {
			rtt.spread[labels{k.netns, k.device}] = c.rtt
		}
	}
	for netns, s := range p.perConn {
		perConn.spread[labels{netns}] = s
	}
	return []*family{rtt, sent, received, resent, perConn}
}
