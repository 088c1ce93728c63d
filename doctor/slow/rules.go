package slow

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/doctor/rule"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// judge is a rule: what it finds in what a connection did.
type judge func(*View) []doctor.Finding

// judges returns the rules in the order in which they are reported.
func judges() []judge {
	return []judge{
		timeouts, headOfLine, peerReads, receiveBuffer, sendBuffer, backup, losses, longQueue, oneLink,
		ownQueue, receiverReads, applicationLimits, pathFull,
	}
}

// Findings returns what the rules say. Where the looks allow no verdict there is none.
func Findings(v *View) []doctor.Finding {
	if v.Enough != EnoughYes {
		return nil
	}
	var found []doctor.Finding
	for _, j := range judges() {
		found = append(found, j(v)...)
	}
	return found
}

// finding returns a finding about the connection, with its first lines of evidence.
func (v *View) finding(id rule.ID, s doctor.Severity, sure track.Confidence, title string) doctor.Finding {
	c := &v.Last.Connection
	direction, rate := "sends", v.Out
	if !v.Sending {
		direction, rate = "receives", v.In
	}
	return doctor.Finding{
		Rule: id, Severity: s, Confidence: sure, Title: title,
		Subject: doctor.Subject{Token: v.Token, Remote: c.Remote, Netns: v.Host.Netns},
		Evidence: []string{fmt.Sprintf(
			"the connection %s %s, observed for %.1f s", direction, Rate(rate), v.Passed.Seconds(),
		)},
		Fix: []string{},
	}
}

// about makes a finding one about a subflow.
func about(d *doctor.Finding, f *Flow) {
	d.Subject.Endpoint, d.Subject.EndpointID = f.Socket.Local.Addr(), f.Socket.MPTCP.LocalID
	d.Subject.Device = f.Device
}

// name returns the subflow in words.
func (f *Flow) name() string {
	local := f.Socket.Local.Addr().String()
	if f.Device == "" {
		return local
	}
	return local + " over " + f.Device
}

func bytesOf(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.0f kB", n/1e3)
	}
	return fmt.Sprintf("%.0f bytes", n)
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }

// powerOfTwo returns the next power of two that is not smaller.
func powerOfTwo(n float64) uint64 { return 1 << uint(math.Ceil(math.Log2(max(n, 1)))) }

// roomier returns a receive or send buffer for four times the rate: what is in flight now, four
// times, twice of it because autotuning keeps a reserve, and half as much again because the
// kernel counts whole buffers.
func roomier(flying float64) uint64 { return powerOfTwo(4 * 2 * 1.5 * flying) }

const notTheSendBuffer = "not the send buffer: with MPTCP the kernel counts time as sndbuf_limited on every idle " +
	"subflow of a process that waits, whatever it waits for"

func applicationLimits(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != Application {
		return nil
	}
	carrying := v.carrying()
	if len(v.Flows) > 1 && len(carrying) > 0 && carrying[0].Share >= 0.9 && v.Quiet >= 0.7 {
		d := v.finding(FirstPathSuffices, doctor.Info, track.Likely,
			"nothing is wrong: the first path alone carries what the application sends")
		d.Evidence = append(d.Evidence, fmt.Sprintf("%s carries %.0f %%; %s are not acknowledged, and nothing waits",
			carrying[0].name(), 100*carrying[0].Share, bytesOf(v.Written)))
		return []doctor.Finding{d}
	}
	d := v.finding(ProcessSendsNoFaster, doctor.Info, track.Likely,
		"the process sends no faster: nothing waits for the network")
	d.Evidence = append(d.Evidence, fmt.Sprintf("%s are not acknowledged, and the send buffer is %.0f %% full",
		bytesOf(v.Written), 100*v.Full), "a process that waits for its processor looks the same")
	return []doctor.Finding{d}
}

func peerReads(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != Reader {
		return nil
	}
	sure := track.Possible
	if v.collapses() {
		sure = track.Likely
	}
	d := v.finding(PeerReadsSlowly, doctor.Warn, sure, "the process at the peer reads slowly: "+Rate(v.Out))
	if sure == track.Possible {
		d.Alternatives = append(d.Alternatives, ReceiveBufferSmall)
	}
	d.Evidence = append(d.Evidence, v.waits(),
		fmt.Sprintf("the window at the peer moves between %s and %s",
			bytesOf(v.WindowLow), bytesOf(v.WindowTop)),
		notTheSendBuffer)
	d.Fix = append(d.Fix, "look at the process that reads on the peer: no buffer and no path makes it faster")
	return []doctor.Finding{d}
}

// waits tells how much waits for the window.
func (v *View) waits() string {
	return fmt.Sprintf("%s are written and not acknowledged; %s of them have no path yet",
		bytesOf(v.Written), bytesOf(v.Unplaced))
}

// littlesLaw reports whether the rate is what the window allows: what is in flight, each round trip.
func (v *View) littlesLaw() bool {
	expected := v.Placed / v.longest().Seconds()
	return v.Placed >= 0.5*v.Window && v.Out >= 0.4*expected && v.Out <= 2.5*expected
}

func receiveBuffer(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != ReceiveBuffer {
		return nil
	}
	sure := track.Possible
	if v.WindowTop <= 1.5*v.WindowLow && v.littlesLaw() {
		sure = track.Likely
	}
	d := v.finding(ReceiveBufferSmall, doctor.Warn, sure,
		fmt.Sprintf("the receive buffer at the peer is too small: %s, and all paths wait", Rate(v.Out)))
	d.Evidence = append(d.Evidence, v.waits(), fmt.Sprintf(
		"the window at the peer stays at %s, and is used once in a round trip of %s", bytesOf(v.Window),
		milliseconds(v.longest())))
	d.Evidence = append(append(d.Evidence, v.idlers()...), notTheSendBuffer)
	d.Fix = append(d.Fix,
		fmt.Sprintf("on the peer: sysctl -w net.ipv4.tcp_rmem=\"4096 131072 %d\"", roomier(max(v.Window, v.Placed))),
		"on the peer: let the program set no SO_RCVBUF",
		fmt.Sprintf("then: up to %s, or as much as the paths carry", Rate(4*v.Out)))
	return []doctor.Finding{d}
}

// idlers tells how the carrying subflows wait.
func (v *View) idlers() []string {
	var lines []string
	for _, f := range v.carrying() {
		lines = append(lines, fmt.Sprintf(
			"%s: %s, its queue is empty in %.0f %% of the looks, %.0f %% of its congestion window is used, "+
				"busy %.0f %%",
			f.name(), Rate(f.Rate), 100*f.Empty, 100*min(f.Used, 1), 100*min(f.Busy, 1)))
	}
	return lines
}

// fixed reports whether a program set SO_SNDBUF: the kernel's own sizes are not equal, because
// that of the connection is the sum of those of its subflows since Linux 6.7.
func (v *View) fixed() bool {
	for i := range v.Flows {
		if v.Flows[i].Socket.Memory.SendBuffer != v.Last.Connection.Memory.SendBuffer {
			return false
		}
	}
	return len(v.Flows) > 0
}

func sendBuffer(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != SendBuffer {
		return nil
	}
	size := float64(v.Last.Connection.Memory.SendBuffer)
	then := fmt.Sprintf("then: up to %s, or as much as the paths carry", Rate(4*v.Out))
	if v.fixed() {
		d := v.finding(SendBufferFixed, doctor.Warn, track.Likely,
			fmt.Sprintf("the program fixed the send buffer at %s: %s", bytesOf(size), Rate(v.Out)))
		d.Evidence = append(append(d.Evidence,
			"the buffers of the connection and of all its subflows are equal, as only SO_SNDBUF makes them"),
			v.idlers()...)
		d.Fix = append(d.Fix, fmt.Sprintf("remove SO_SNDBUF from the program, or set %d", roomier(v.Written)), then)
		return []doctor.Finding{d}
	}
	if !v.grown() {
		return nil
	}
	d := v.finding(SendBufferSmall, doctor.Warn, track.Likely,
		fmt.Sprintf("the send buffer is too small: %s, and all paths wait", Rate(v.Out)))
	d.Evidence = append(append(d.Evidence, fmt.Sprintf("%.0f %% of %s are in use, and every subflow's buffer has "+
		"reached the most that net.ipv4.tcp_wmem allows, %d", 100*v.Full, bytesOf(size), v.Host.SendMost)),
		v.idlers()...)
	d.Fix = append(d.Fix, fmt.Sprintf("sysctl -w net.ipv4.tcp_wmem=\"4096 16384 %d\"",
		powerOfTwo(12*float64(v.Host.SendMost))), then)
	return []doctor.Finding{d}
}

// largestFull returns the subflow that carries most of those whose path is full.
func (v *View) largestFull() *Flow {
	var found *Flow
	for _, f := range v.carrying() {
		if f.Empty <= 0.3 && (found == nil || f.Rate > found.Rate) {
			found = f
		}
	}
	return found
}

func backup(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != Path {
		return nil
	}
	busy := v.largestFull()
	var found []doctor.Finding
	for i := range v.Flows {
		f := &v.Flows[i]
		if !f.Backup || f.Carries() || busy == nil || f.Busy > 0.01 {
			continue
		}
		d := v.finding(SecondIsBackup, doctor.Info, track.Likely,
			"a backup path idles while another path is full: "+Rate(busy.Rate))
		about(&d, f)
		d.Evidence = append(d.Evidence, f.name()+" is a backup and carries nothing",
			busy.name()+" is full, with a queue of "+milliseconds(busy.Queue))
		if id := f.Socket.MPTCP.LocalID; id != 0 {
			d.Fix = append(d.Fix, fmt.Sprintf("mptcpctl endpoint change id %d nobackup", id))
		}
		found = append(found, d)
	}
	return found
}

func headOfLine(v *View) []doctor.Finding {
	if !v.Sending || v.limit() != OtherPath {
		return nil
	}
	fast, slow := v.extremes()
	d := v.finding(HeadOfLine, doctor.Warn, track.Likely, fmt.Sprintf(
		"the slow path holds up the fast one: %s, and the fast path idles", Rate(v.Out)))
	about(&d, slow)
	d.Evidence = append(d.Evidence, fmt.Sprintf("round trips of %s (%s) and %s (%s)",
		milliseconds(fast.RTT), fast.name(), milliseconds(slow.RTT), slow.name()))
	d.Evidence = append(d.Evidence, v.idlers()...)
	flying := max(v.Window, v.Placed)
	if v.window() {
		d.Evidence = append(d.Evidence, v.waits())
		d.Fix = append(d.Fix,
			fmt.Sprintf("on the peer: sysctl -w net.ipv4.tcp_rmem=\"4096 131072 %d\"", roomier(flying)))
	}
	if id := slow.Socket.MPTCP.LocalID; id != 0 {
		d.Fix = append(d.Fix, fmt.Sprintf("mptcpctl endpoint change id %d backup", id),
			"then the fast path is busy all the time; the slow one waits for failures of it")
	} else {
		d.Fix = append(d.Fix, "make the slow path a backup: add its address as an endpoint with the flag backup")
	}
	return []doctor.Finding{d}
}

// loses reports whether the path loses packets without a queue, and all the time. A queue that
// runs over once, as at the end of slow start, is healthy, and BBR sends into loss by design.
func (f *Flow) loses() bool {
	quiet := max(20*time.Millisecond, micros(f.Socket.TCP.MinRTTMicros)*3/10)
	return f.Empty <= 0.3 && f.losesSteadily() && f.Worst <= 0.5 && f.QueueMost <= quiet
}

// losesSteadily reports whether loss may limit the rate, with or without a queue beside it:
// round trips that vary look like one.
func (f *Flow) losesSteadily() bool {
	return f.Loss >= 0.01 && f.Resent >= 10 && f.Losing >= 0.4 && f.Socket.Congestion.Name != "bbr"
}

func losses(v *View) []doctor.Finding {
	var found []doctor.Finding
	for _, f := range v.carrying() {
		if !v.Sending || !f.loses() {
			continue
		}
		d := v.finding(PathLoses, doctor.Warn, track.Likely,
			fmt.Sprintf("packets are lost on a path: %s, %.1f %% are sent again", Rate(f.Rate), 100*f.Loss))
		about(&d, f)
		mathis := 1.2 * float64(f.Socket.TCP.SndMSS) / f.RTT.Seconds() / math.Sqrt(f.Loss)
		d.Evidence = append(d.Evidence,
			fmt.Sprintf("%s: %d of %d segments were sent again, in %.0f %% of the intervals, "+
				"with a queue of at most %s",
				f.name(), f.Resent, f.Segments, 100*f.Losing, milliseconds(f.QueueMost)),
			fmt.Sprintf("with that loss and a round trip of %s, %s gets about %s, whatever the link could carry",
				milliseconds(f.RTT), f.Socket.Congestion.Name, Rate(mathis)))
		if f.Device != "" {
			d.Fix = append(d.Fix, "ip -s link show dev "+f.Device)
		}
		d.Fix = append(d.Fix, "on a line with a policer, shape below its rate, for example with cake")
		found = append(found, d)
	}
	return found
}

func longQueue(v *View) []doctor.Finding {
	var found []doctor.Finding
	for _, f := range v.carrying() {
		if !v.Sending || f.Empty > 0.3 || f.LongQueue < 0.7 {
			continue
		}
		d := v.finding(QueueTooLong, doctor.Info, track.Likely,
			fmt.Sprintf("a path is full and has a queue of %s: %s", milliseconds(f.Queue), Rate(f.Rate)))
		about(&d, f)
		d.Evidence = append(d.Evidence, fmt.Sprintf("%s: a round trip takes %s, at least %s",
			f.name(), milliseconds(f.RTT), milliseconds(micros(f.Socket.TCP.MinRTTMicros))))
		d.Fix = append(d.Fix, "use fq_codel or cake at the bottleneck: the rate stays, the delay falls")
		found = append(found, d)
	}
	return found
}

func pathFull(v *View) []doctor.Finding {
	var found []doctor.Finding
	for _, f := range v.carrying() {
		if !v.Sending || v.limit() != Path || f.Empty > 0.3 || f.loses() || f.LongQueue >= 0.7 {
			continue
		}
		d := v.finding(PathFull, doctor.Info, track.Likely, fmt.Sprintf(
			"nothing is wrong: the path is full at %s", Rate(f.Rate)))
		about(&d, f)
		d.Evidence = append(d.Evidence, fmt.Sprintf("%s: its queue always has data, and the path has a queue of %s",
			f.name(), milliseconds(f.Queue)))
		if f.losesSteadily() {
			d.Confidence, d.Alternatives = track.Possible, []rule.ID{PathLoses}
			d.Title = fmt.Sprintf("the path is full at %s, or its loss of %.1f %% limits it", Rate(f.Rate), 100*f.Loss)
			d.Evidence = append(d.Evidence, fmt.Sprintf(
				"%d of %d segments were sent again, in %.0f %% of the intervals; "+
					"round trips vary by up to %s: by a queue, or by the link itself",
				f.Resent, f.Segments, 100*f.Losing, milliseconds(f.QueueMost)))
		}
		found = append(found, d)
	}
	return found
}

func ownQueue(v *View) []doctor.Finding {
	told := map[string]bool{}
	var found []doctor.Finding
	for _, f := range v.carrying() {
		drops := v.Host.Dropped[f.Device]
		if !v.Sending || drops == 0 || f.Resent == 0 || told[f.Device] {
			continue
		}
		told[f.Device] = true
		d := v.finding(OwnQueueDrops, doctor.Info, track.Likely,
			"the queue of "+f.Device+" on this host drops packets: "+Rate(f.Rate))
		about(&d, f)
		d.Evidence = append(d.Evidence, fmt.Sprintf("%s: %d of %d segments were sent again, and the queue dropped %d "+
			"packets meanwhile", f.name(), f.Resent, f.Segments, drops))
		d.Fix = append(d.Fix, "tc -s qdisc show dev "+f.Device+": a longer queue, or fq_codel below the shaper")
		found = append(found, d)
	}
	return found
}

func oneLink(v *View) []doctor.Finding {
	by := map[string]*Flow{}
	for _, f := range v.carrying() {
		if !v.Sending || f.Device == "" || f.Device == "lo" || f.Empty > 0.3 {
			continue
		}
		other := by[f.Device]
		by[f.Device] = f
		if other == nil || sameEnds(&other.Socket.Local, &f.Socket.Local) {
			continue
		}
		d := v.finding(OneLinkForTwo, doctor.Info, track.Likely,
			fmt.Sprintf("two subflows share the link %s: together %s", f.Device, Rate(other.Rate+f.Rate)))
		about(&d, f)
		d.Evidence = append(d.Evidence, other.Socket.Local.Addr().String()+" and "+f.name()+" leave by the same device")
		d.Fix = append(d.Fix, "mptcpctl paths: shows the routes that each address takes")
		return []doctor.Finding{d}
	}
	return nil
}

// sameEnds reports whether two subflows have one address: those are meant to share a link.
func sameEnds(a, b *netip.AddrPort) bool { return a.Addr() == b.Addr() }

func timeouts(v *View) []doctor.Finding {
	var found []doctor.Finding
	for i := range v.Flows {
		f := &v.Flows[i]
		if !v.Sending || !f.silent() || f.Socket.State != mptcp.StateEstablished {
			continue
		}
		id, title := PathTimesOut, "a path does not answer: what was sent on it holds up the rest"
		fix := []string{"look at the path: mptcpctl doctor", "sysctl -w net.mptcp.stale_loss_cnt=2"}
		if vanished := f.Socket.TCP.BytesAcked <= 1 && f.Socket.TCP.DeliveryRate == 0; vanished {
			id, title = LargePacketsVanish, "large packets vanish on a path: no data of it was ever acknowledged"
			fix = []string{"sysctl -w net.ipv4.tcp_mtu_probing=1", "lower the MTU of the route: mtu lock 1400"}
		}
		d := v.finding(id, doctor.Warn, track.Likely, title)
		about(&d, f)
		d.Evidence = append(d.Evidence, fmt.Sprintf(
			"%s: %d segments are in flight, the timeout was doubled %d times, and no byte was acknowledged meanwhile",
			f.name(), f.Socket.TCP.Unacked, f.Socket.TCP.Backoff))
		d.Fix = append(d.Fix, fix...)
		found = append(found, d)
	}
	return found
}

// receiverReads is S02 on the receiving host, where the buffer itself can be seen. A buffer that
// is full of what came out of order is no sign of a slow reader.
func receiverReads(v *View) []doctor.Finding {
	if v.Sending || v.UnreadHi < 0.7 {
		return nil
	}
	for i := range v.Flows {
		if v.Flows[i].OutOfOrder >= 0.05 {
			return nil
		}
	}
	d := v.finding(PeerReadsSlowly, doctor.Warn, track.Likely,
		"the process on this host reads slowly: "+Rate(v.In))
	d.Evidence = append(d.Evidence, fmt.Sprintf("%.0f %% of the receive buffer hold data that was not read",
		100*v.Unread))
	d.Fix = append(d.Fix, "look at the process that reads: no buffer and no path makes it faster")
	return []doctor.Finding{d}
}
