package slow

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// path is a subflow of a recorded world: what was measured of it in the kernel.
type path struct {
	mbits       float64
	busy        float64 // share of the time
	rtt, min    uint32  // ms
	used        float64 // of the congestion window
	empty       float64 // share of looks with nothing unsent
	resent      int     // segments, spread over spread intervals
	spread      int
	segments    uint32
	window      [2]uint32 // of the peer, lowest and highest
	backup      bool
	backoff     uint8
	sndbuf      uint32
	neverAcked  bool
	congestion  string
	outOfOrder  uint32
	rcvSegments uint32
}

// world is a connection as it was measured on Linux 6.18.44, with the looks 200 ms apart.
type world struct {
	name     string
	written  uint64
	unplaced uint64  // where there is some
	waiting  float64 // share of looks with some
	full     float64 // of the send buffer
	sndbuf   uint32
	in       float64 // Mbit/s received
	unread   float64
	fallback bool
	paths    []path
	limit    []What
	rules    []rule.ID
}

const steps = 16

// holds spreads the looks in which something holds evenly.
func holds(i int, share float64) bool {
	return int(float64(i+1)*share+1e-9) > int(float64(i)*share+1e-9)
}

func (w *world) looks() []Look {
	looks := make([]Look, steps)
	for i := range looks {
		looks[i] = w.look(i)
	}
	return looks
}

func (w *world) look(i int) Look {
	elapsed := float64(i) * 0.2
	l := Look{Time: time.Unix(1700000000, 0).Add(time.Duration(i) * 200 * time.Millisecond)}
	info := &l.Connection.Info
	info.Size, info.Token = 96, 7
	if w.fallback {
		info.Flags = sockdiag.FlagFallback
	}
	var out float64
	for n := range w.paths {
		out += w.paths[n].mbits * 1e6 / 8
		l.Subflows = append(l.Subflows, w.paths[n].look(n, i, elapsed))
	}
	info.SndUna = 1000 + uint64(out*elapsed)
	info.WriteSeq, info.BytesAcked = info.SndUna+w.written, uint64(out*elapsed)
	info.BytesSent = info.BytesAcked + w.written
	if holds(i, w.waiting) {
		info.BytesSent -= w.unplaced
	}
	info.BytesReceived = uint64(w.in * 1e6 / 8 * elapsed)
	sndbuf := max(w.sndbuf, 1<<20)
	if w.sndbuf > 0 {
		sndbuf = w.sndbuf
	}
	l.Connection.Memory = sockdiag.Memory{
		Known: true, SendBuffer: sndbuf, Queued: uint32(w.full * float64(sndbuf)),
		ReceiveBuffer: 1 << 20, Received: uint32(w.unread * (1 << 20)),
	}
	return l
}

func (p *path) look(n, i int, elapsed float64) sockdiag.SubflowDetail {
	var s sockdiag.SubflowDetail
	s.Cookie, s.State = uint64(n+1), mptcp.StateEstablished
	s.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 92, byte(n + 1), 1}), 40000)
	s.MPTCP.TokenLocal, s.MPTCP.LocalID = 7, mptcp.AddressID(n)
	if p.backup {
		s.MPTCP.Flags = sockdiag.SubflowBackupLocal
	}
	t := &s.TCP
	t.BytesAcked = uint64(p.mbits * 1e6 / 8 * elapsed)
	if !p.neverAcked {
		t.BytesAcked += 5000
		t.DeliveryRate = uint64(p.mbits * 1e6 / 8)
	}
	t.BusyMicros = uint64(p.busy * elapsed * 1e6)
	t.RTTMicros, t.MinRTTMicros, t.SndMSS, t.Cwnd = 1000*p.rtt, 1000*p.min, 1400, 100
	t.Unacked, t.Backoff = uint32(100*p.used), p.backoff
	resent := uint32(0)
	if p.spread > 0 {
		resent = uint32(p.resent * min(i, p.spread) / p.spread)
		if p.spread >= 6 { // all the time
			resent = uint32(p.resent * i / (steps - 1))
		}
	}
	t.TotalRetrans, t.BytesRetransmitted = resent, uint64(resent)*1400
	s.Limits.DataSegsOut = uint32(float64(p.segments) * elapsed / 3)
	t.BytesSent = uint64(s.Limits.DataSegsOut) * 1400
	s.Limits.DataSegsIn = uint32(float64(p.rcvSegments) * elapsed / 3)
	s.Limits.RcvOutOfOrder = uint32(float64(p.outOfOrder) * elapsed / 3)
	if !holds(i, p.empty) {
		s.Limits.NotSent = 30000
	}
	t.SndWnd = p.window[i%2]
	s.Memory = sockdiag.Memory{Known: true, SendBuffer: p.sndbuf}
	s.Congestion.Name = "cubic"
	if p.congestion != "" {
		s.Congestion.Name = p.congestion
	}
	return s
}

// measured are the worlds: healthy ones first, each of which shares figures with a sick one.
var measured = []world{
	{name: "bulk transfer", written: 722e3, full: .71, limit: []What{Path, Path}, rules: []rule.ID{"S11", "S11"},
		paths: []path{
			{mbits: 18.8, busy: 1, rtt: 40, min: 21, used: 1, resent: 2, spread: 1, segments: 5269},
			{mbits: 9.3, busy: 1, rtt: 58, min: 31, used: 1, resent: 1, spread: 1, segments: 2656},
		}},
	{name: "slow start ran over", written: 1.8e6, full: .67, limit: []What{Path, Path}, rules: []rule.ID{"S11", "S11"},
		paths: []path{
			{mbits: 10.7, busy: 1, rtt: 152, min: 101, used: 1, resent: 36, spread: 1, segments: 4380},
			{mbits: 4.9, busy: 1, rtt: 116, min: 101, used: 1, resent: 46, spread: 3, segments: 2004},
		}},
	{name: "BBR loses by design", written: 1.3e6, full: .68, limit: []What{Path, Path},
		rules: []rule.ID{"S11", "S11"}, paths: []path{
			{mbits: 15.2, busy: 1, rtt: 30, min: 21, used: 1.04, resent: 384, spread: 13, segments: 4867, congestion: "bbr"},
			{mbits: 6.5, busy: 1, rtt: 70, min: 31, used: .51, resent: 126, spread: 4, segments: 2062, congestion: "bbr"},
		}},
	{name: "program at 2 Mbit/s", written: 8e3, full: .09, limit: []What{Application, NotNeeded},
		rules: []rule.ID{"S07"}, paths: []path{
			{mbits: 2, busy: .76, rtt: 24, min: 21, used: .27, empty: 1, segments: 541},
			{mbits: .05, busy: .04, rtt: 36, min: 32, empty: 1, segments: 18},
		}},
	{name: "bursts", written: 0, full: 0, limit: []What{Application, Application}, rules: []rule.ID{"S01"},
		paths: []path{
			{mbits: 1.5, busy: .15, rtt: 44, min: 21, empty: 1, segments: 499},
			{mbits: .6, busy: .14, rtt: 47, min: 31, empty: 1, segments: 223},
		}},
	{name: "request and response", written: 200, limit: []What{Application, NotNeeded}, rules: []rule.ID{"S07"}, paths: []path{
		{mbits: .03, busy: .52, rtt: 25, min: 21, used: .1, empty: 1, segments: 58},
		{mbits: .001, busy: .08, rtt: 32, min: 32, empty: 1, segments: 2},
	}},
	{name: "backup waits", written: 341e3, full: .74, limit: []What{Path, BackupFlow},
		rules: []rule.ID{"S06", "S11"}, paths: []path{
			{mbits: 16.7, busy: 1, rtt: 40, min: 21, used: 1, resent: 15, spread: 2, segments: 4872},
			{busy: 0, rtt: 42, min: 42, empty: 1, backup: true},
		}},
	{name: "limited by the processor", written: 66e3, full: .01, unplaced: 10e3, waiting: .1,
		limit: []What{Application, Application}, rules: []rule.ID{"S01"}, paths: []path{
			{mbits: 1887, busy: .66, rtt: 3, min: 1, empty: 1, segments: 277386},
			{mbits: 1644, busy: .65, rtt: 4, min: 1, empty: 1, segments: 243837},
		}},
	{name: "own shaper holds data back", written: 207e3, unplaced: 20e3, waiting: .13, full: .82,
		limit: []What{Path, Path}, rules: []rule.ID{"S11", "S11"}, paths: []path{
			{mbits: 16.2, busy: .95, rtt: 17, min: 0, used: .8, empty: .07, resent: 7, spread: 1, segments: 5135},
			{mbits: 7.6, busy: .93, rtt: 9, min: 0, used: .86, empty: .07, resent: 1, spread: 1, segments: 2541},
		}},
	{name: "receiver without trouble", in: 20, limit: []What{""}, paths: []path{{rtt: 20, min: 20, rcvSegments: 5000}}},
	{name: "slow reader", written: 805e3, unplaced: 789e3, waiting: 1, full: .69, limit: []What{Reader, Reader},
		rules: []rule.ID{"S02"}, paths: []path{
			{mbits: 1.1, busy: 1, rtt: 53, min: 20, used: .01, empty: .27, segments: 323, window: [2]uint32{0, 34000}},
			{mbits: 1.9, busy: .66, rtt: 66, min: 31, used: .2, empty: 1, segments: 517, window: [2]uint32{0, 34000}},
		}},
	{name: "receive buffer of 128 kB", written: 613e3, unplaced: 533e3, waiting: 1, full: .7,
		limit: []What{ReceiveBuffer, ReceiveBuffer}, rules: []rule.ID{"S03"}, paths: []path{
			{mbits: 3.3, busy: 1, rtt: 106, min: 100, used: .37, empty: .87, segments: 970, window: [2]uint32{74000, 79000}},
			{mbits: 2, busy: 1, rtt: 110, min: 100, used: .22, empty: .73, segments: 598, window: [2]uint32{74000, 79000}},
		}},
	{name: "SO_SNDBUF", written: 65e3 * 3, full: 1, sndbuf: 65536, limit: []What{SendBuffer, SendBuffer},
		rules: []rule.ID{"S05"}, paths: []path{
			{mbits: 1.7, busy: .98, rtt: 145, min: 102, used: .25, empty: .73, segments: 623, sndbuf: 65536},
			{mbits: 1.6, busy: .91, rtt: 156, min: 102, used: .31, empty: .93, segments: 530, sndbuf: 65536},
		}},
	{name: "tcp_wmem of 64 kB", written: 131e3 + 1000, unplaced: 5e3, waiting: .27, full: .97, sndbuf: 135168,
		limit: []What{SendBuffer, SendBuffer}, rules: []rule.ID{"S04"}, paths: []path{
			{mbits: 3, busy: 1, rtt: 137, min: 101, used: .39, empty: .44, segments: 1014, sndbuf: 65536},
			{mbits: 2.5, busy: .98, rtt: 139, min: 102, used: .5, empty: .67, segments: 833, sndbuf: 65536},
		}},
	{name: "peer that does not read", written: 900e3, unplaced: 890e3, waiting: 1, full: .9,
		limit: []What{Reader}, rules: []rule.ID{"S02"}, paths: []path{{rtt: 20, min: 20, empty: 1}}},
	{name: "reader that nearly stands still", written: 429e3, unplaced: 427e3, waiting: 1, full: .7,
		limit: []What{Reader}, rules: []rule.ID{"S02"}, paths: []path{
			{mbits: .034, busy: .18, rtt: 46, min: 20, empty: 1, window: [2]uint32{1100, 1300}},
		}},
	{name: "SO_SNDBUF with queues", written: 65e3, full: 1, sndbuf: 65536, limit: []What{SendBuffer, SendBuffer},
		rules: []rule.ID{"S05"}, paths: []path{
			{mbits: 1.6, busy: 1, rtt: 106, min: 102, used: .25, empty: .2, segments: 600, sndbuf: 65536},
			{mbits: 1.7, busy: 1, rtt: 106, min: 102, used: .31, empty: .33, segments: 600, sndbuf: 65536},
		}},
	{name: "reader whose window moves", written: 1.2e6, unplaced: 1.2e6, waiting: 1, full: .69,
		limit: []What{Reader, Reader}, rules: []rule.ID{"S02"}, paths: []path{
			{mbits: 2, busy: .99, rtt: 62, min: 21, used: .23, empty: .43, segments: 700, window: [2]uint32{16000, 26000}},
			{mbits: 1, busy: .82, rtt: 62, min: 31, used: .2, empty: .67, segments: 400, window: [2]uint32{16000, 26000}},
		}},
	{name: "10 and 400 ms with 512 kB", written: 1.1e6, unplaced: 890e3, waiting: 1, full: .69,
		limit: []What{OtherPath, ReceiveBuffer}, rules: []rule.ID{"S08"}, paths: []path{
			{mbits: 2, busy: .44, rtt: 24, min: 11, used: 0, empty: .75, segments: 1049, window: [2]uint32{280000, 324000}},
			{mbits: 1.2, busy: .99, rtt: 295, min: 200, used: .27, empty: .35, segments: 582, window: [2]uint32{280000, 324000}},
		}},
	{name: "3 % loss", written: 708e3, full: .7, limit: []What{Path, Path}, rules: []rule.ID{"S09", "S11"},
		paths: []path{
			{mbits: 13.4, busy: .92, rtt: 24, min: 21, used: 1, empty: .13, resent: 8, spread: 2, segments: 3756},
			{mbits: 2.2, busy: 1, rtt: 36, min: 31, used: 1, resent: 15, spread: 8, segments: 653},
		}},
	{name: "3 % loss, and round trips vary", written: 708e3, full: .7, limit: []What{Path, Path}, rules: []rule.ID{"S11", "S11"},
		paths: []path{
			{mbits: 13.4, busy: .92, rtt: 24, min: 21, used: 1, empty: .13, resent: 8, spread: 2, segments: 3756},
			{mbits: 2.2, busy: 1, rtt: 60, min: 31, used: 1, resent: 15, spread: 8, segments: 653},
		}},
	{name: "queue of 500 kB", written: 1e6, unplaced: 6e3, waiting: .5, full: .69, limit: []What{Path, Path},
		rules: []rule.ID{"S10", "S11"}, paths: []path{
			{mbits: 17, busy: 1, rtt: 38, min: 21, used: 1, segments: 4782},
			{mbits: 4.7, busy: 1, rtt: 300, min: 32, used: .84, segments: 1343},
		}},
	{name: "second path silent", written: 455e3, unplaced: 91e3, waiting: 1, full: .72, limit: []What{Path, Silent},
		rules: []rule.ID{"S18", "S11"}, paths: []path{
			{mbits: 18.8, busy: 1, rtt: 40, min: 21, used: 1, segments: 6745},
			{busy: 1, rtt: 60, min: 31, used: 51, backoff: 5},
		}},
	{name: "MTU hole", written: 516e3, full: .69, limit: []What{Path, Silent}, rules: []rule.ID{"S17", "S11"},
		paths: []path{
			{mbits: 9.5, busy: 1, rtt: 84, min: 21, used: 1, segments: 4154},
			{busy: 1, rtt: 32, min: 32, used: 11, backoff: 5, neverAcked: true},
		}},
	{name: "slow reader on this host", in: 3, unread: .94, limit: []What{"", ""}, rules: []rule.ID{"S02"}, paths: []path{
		{rtt: 20, min: 20, rcvSegments: 300, outOfOrder: 2}, {rtt: 30, min: 30, rcvSegments: 500},
	}},
	{name: "full of what came out of order", in: 3, unread: .8, limit: []What{"", ""}, paths: []path{
		{rtt: 20, min: 20, rcvSegments: 300, outOfOrder: 100}, {rtt: 30, min: 30, rcvSegments: 500},
	}},
}

func (w *world) view() *View {
	return Digest(w.looks(), &Host{
		Devices: map[uint64]string{1: "p1", 2: "p2"}, SendMost: 65536, Interval: 200 * time.Millisecond,
	})
}

func TestMeasuredWorlds(t *testing.T) {
	for i := range measured {
		w := &measured[i]
		t.Run(w.name, func(t *testing.T) {
			v := w.view()
			for n, l := range Labels(v) {
				got := What("")
				if l != nil {
					got = l.What
				}
				if got != w.limit[n] {
					t.Errorf("path %d is limited by %q, want %q (%v)", n, got, w.limit[n], v.Enough)
				}
			}
			var rules []rule.ID
			for _, f := range Findings(v) {
				rules = append(rules, f.Rule)
				if f.Title == "" || len(f.Evidence) < 2 || f.Severity > doctor.Info && len(f.Fix) == 0 {
					t.Errorf("%s lacks evidence or a fix: %+v", f.Rule, f)
				}
			}
			slices.Sort(rules)
			if want := slices.Sorted(slices.Values(w.rules)); !slices.Equal(rules, want) {
				t.Errorf("rules %v, want %v", rules, want)
			}
		})
	}
}

// Where packets are lost all the time, a path that looks full is not said to be in order.
func TestLossBesideAQueueIsNamed(t *testing.T) {
	for i := range measured {
		w := &measured[i]
		for _, f := range pathFull(w.view()) {
			lossy := slices.Contains(f.Alternatives, PathLoses)
			if want := w.name == "3 % loss, and round trips vary" && f.Subject.Device == "p2"; lossy != want {
				t.Errorf("%s: %+v", w.name, f)
			}
			if lossy == strings.Contains(f.Title, "nothing is wrong") || lossy && f.Confidence != track.Possible {
				t.Errorf("%s: %s (%v)", w.name, f.Title, f.Confidence)
			}
		}
	}
}

// Drops of the device's own queue are told once for each device, and only where something was sent
// again.
func TestTheQueueOfADeviceDrops(t *testing.T) {
	for _, test := range []struct {
		dropped map[string]uint64
		want    int
	}{{nil, 0}, {map[string]uint64{"p1": 7}, 1}, {map[string]uint64{"p1": 7, "p2": 1, "p3": 5}, 2}} {
		v := measured[0].view()
		v.Host.Dropped = test.dropped
		if got := ownQueue(v); len(got) != test.want {
			t.Errorf("dropped %v: %+v", test.dropped, got)
		}
	}
}

// A healthy world never warns, whichever part of its looks is taken.
func TestHealthyWorldsDoNotWarn(t *testing.T) {
	for i := range measured[:10] {
		looks := measured[i].looks()
		for from := range len(looks) - leastLooks {
			v := Digest(looks[from:], &Host{SendMost: 65536})
			for _, f := range Findings(v) {
				if f.Severity > doctor.Info {
					t.Errorf("%s from look %d: %s %s", measured[i].name, from, f.Rule, f.Title)
				}
			}
		}
	}
}

func TestLooksThatAllowNoVerdict(t *testing.T) {
	bulk := &measured[0]
	late := bulk.looks()
	for i := range late {
		late[i].Time = late[i].Time.Add(time.Duration(i) * 300 * time.Millisecond)
	}
	far := measured[0]
	far.paths = slices.Clone(far.paths)
	far.paths[0].rtt = 450
	idle := measured[5]
	idle.written = 0
	old := bulk.looks()
	old[len(old)-1].Connection.Info.Size = 48
	for _, test := range []struct {
		looks []Look
		want  Enough
	}{
		{nil, EnoughGone}, {bulk.looks()[:1], EnoughFew}, {bulk.looks()[:9], EnoughFew}, {late, EnoughLate},
		{far.looks(), EnoughRTT}, {old, EnoughStatus}, {idle.looks(), EnoughIdle}, {bulk.looks(), EnoughYes},
	} {
		v := Digest(test.looks, &Host{Interval: 200 * time.Millisecond})
		if v.Enough != test.want {
			t.Errorf("%d looks: %v, want %v", len(test.looks), v.Enough, test.want)
		}
		if n := len(Findings(v)); n > 0 && test.want != EnoughYes {
			t.Errorf("%v, but %d findings", v.Enough, n)
		}
	}
}

func TestTheTextsOfLimits(t *testing.T) {
	for _, test := range []struct {
		limit Limit
		want  string
	}{
		{Limit{What: Path, Rate: 18.8e6, Queue: 19400}, "path 18.8Mbit/s queue 19ms"},
		{Limit{What: Path, Rate: 1.2e9, Loss: .031}, "path 1.2Gbit/s loss 3.1%"},
		{Limit{What: ReceiveBuffer, Side: "peer", Share: 1}, "receive-buffer(peer) 100%"},
		{Limit{What: OtherPath, Other: "p2", Share: .75}, "other-path(p2) 75%"},
		{Limit{What: Application, Share: 1}, "application"}, {Limit{What: BackupFlow}, "backup"},
	} {
		if got := test.limit.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestTheCatalogueHasEveryRule(t *testing.T) {
	known := map[rule.ID]bool{}
	for _, r := range Rules() {
		known[r.ID] = true
		if r.Title == "" || r.Meaning == "" || r.Signs == "" || r.Remedy == "" || r.Family.String() != "rate" {
			t.Errorf("%s: %+v", r.ID, r)
		}
	}
	for i := range measured {
		for _, id := range measured[i].rules {
			if !known[id] {
				t.Errorf("%s: no rule %s", measured[i].name, id)
			}
		}
	}
}

// Figures that the kernel would not send, counters that fall and subflows that come and go do no
// harm: there is a label for each subflow, or none, and every share lies between 0 and 1.
func FuzzLooks(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 1))
		w := measured[random.IntN(len(measured))]
		looks := w.looks()
		for i := range looks {
			l := &looks[i]
			if random.IntN(4) == 0 {
				l.Connection.Info.SndUna, l.Connection.Info.BytesSent = random.Uint64(), random.Uint64()
			}
			for j := range l.Subflows {
				s := &l.Subflows[j]
				s.TCP.RTTMicros, s.TCP.Cwnd = random.Uint32N(3)*s.TCP.RTTMicros, random.Uint32N(3)
				s.Limits.NotSent = random.Uint32N(1 << 20)
			}
			if random.IntN(5) == 0 {
				l.Subflows = nil
			}
		}
		v := Digest(looks, &Host{})
		if labels := Labels(v); len(labels) != len(v.Flows) {
			t.Errorf("%d labels for %d subflows", len(labels), len(v.Flows))
		}
		for i := range v.Flows {
			if s := v.Flows[i].Share; s < 0 || s > 1 {
				t.Errorf("share %v", s)
			}
		}
		Findings(v)
	})
}
