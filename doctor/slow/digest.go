package slow

import (
	"slices"
	"time"

	"mptcpctl/internal/rate"
	"mptcpctl/sockdiag"
)

// Digest returns what the looks at one connection, oldest first, say together.
func Digest(looks []Look, h *Host) *View {
	v := &View{Host: h}
	if len(looks) == 0 {
		v.Enough = EnoughGone
		return v
	}
	first, last := &looks[0], &looks[len(looks)-1]
	v.Last, v.Token, v.Passed = last, last.Connection.Info.Token, last.Time.Sub(first.Time)
	if v.Passed <= 0 {
		v.Enough = EnoughFew
		return v
	}
	v.connection(looks)
	v.flows(looks)
	v.Enough = v.enough(looks)
	return v
}

// each returns a value for each look.
func each(looks []Look, f func(*Look) float64) []float64 {
	values := make([]float64, len(looks))
	for i := range looks {
		values[i] = f(&looks[i])
	}
	return values
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// share returns in which part of the looks something holds.
func share(looks []Look, holds func(*Look) bool) float64 {
	n := 0
	for i := range looks {
		if holds(&looks[i]) {
			n++
		}
	}
	return float64(n) / float64(len(looks))
}

// part returns a of b, 0 where b is.
func part(a, b uint32) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// written returns the bytes that the process wrote and the peer has not acknowledged, and
// unplaced those of them that no subflow has got. Both counters of the kernel are read at
// slightly different moments, so that the difference can fall below 0.
func written(l *Look) float64 { return rate.Rise(l.Connection.Info.SndUna, l.Connection.Info.WriteSeq) }
func placed(l *Look) float64 {
	return rate.Rise(l.Connection.Info.BytesAcked, l.Connection.Info.BytesSent)
}
func unplaced(l *Look) float64 { return max(0, written(l)-placed(l)) }
func full(l *Look) float64     { return part(l.Connection.Memory.Queued, l.Connection.Memory.SendBuffer) }

func unread(l *Look) float64 {
	return part(l.Connection.Memory.Received, l.Connection.Memory.ReceiveBuffer)
}

// window returns the window of the peer: subflows share it, and show it at different moments.
func window(l *Look) float64 {
	var most uint32
	for i := range l.Subflows {
		most = max(most, l.Subflows[i].TCP.SndWnd)
	}
	return float64(most)
}

func (v *View) connection(looks []Look) {
	before, now, seconds := &looks[0].Connection.Info, &v.Last.Connection.Info, v.Passed.Seconds()
	out, in := rate.Rise(before.SndUna, now.SndUna), rate.Rise(before.BytesReceived, now.BytesReceived)
	v.Out, v.In, v.Sending = out/seconds, in/seconds, out >= in
	v.Moved = uint64(max(out, in))
	v.Written, v.Placed = median(each(looks, written)), median(each(looks, placed))
	v.Unplaced = median(each(looks, unplaced))
	v.Waiting = share(looks, func(l *Look) bool { return unplaced(l) > 0 })
	v.Pending = share(looks, func(l *Look) bool { return written(l) > 0 })
	v.Quiet = share(looks, func(l *Look) bool { return written(l) <= 2*burst && full(l) < 0.3 })
	v.Full, v.Unread = median(each(looks, full)), median(each(looks, unread))
	v.UnreadHi = share(looks, func(l *Look) bool { return unread(l) >= 0.75 })
	windows := each(looks, window)
	v.Window, v.WindowLow, v.WindowTop = median(windows), slices.Min(windows), slices.Max(windows)
}

// trace returns what one subflow said in each look that has it.
func trace(looks []Look, cookie uint64) []*sockdiag.SubflowDetail {
	var found []*sockdiag.SubflowDetail
	for i := range looks {
		for j := range looks[i].Subflows {
			if s := &looks[i].Subflows[j]; s.Cookie == cookie {
				found = append(found, s)
			}
		}
	}
	return found
}

func (v *View) flows(looks []Look) {
	total := 0.0
	for i := range v.Last.Subflows {
		seen := trace(looks, v.Last.Subflows[i].Cookie)
		f := flow(seen, v.Passed)
		f.Device = v.Host.Devices[f.Socket.Cookie]
		total += f.Rate
		v.Flows = append(v.Flows, f)
	}
	for i := range v.Flows {
		if total > 0 {
			v.Flows[i].Share = v.Flows[i].Rate / total
		}
	}
}

func micros(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }

// queue returns by how much the round trip is longer than the shortest one.
func queue(s *sockdiag.SubflowDetail) time.Duration {
	return max(0, micros(s.TCP.RTTMicros)-micros(s.TCP.MinRTTMicros))
}

// flow returns what a subflow did, by what it said in each look.
func flow(seen []*sockdiag.SubflowDetail, passed time.Duration) Flow {
	first, last := seen[0], seen[len(seen)-1]
	const backup = sockdiag.SubflowBackupLocal | sockdiag.SubflowBackupRemote
	f := Flow{Socket: *last, Backup: last.MPTCP.Flags&backup != 0}
	sent := rate.Rise(first.TCP.BytesSent, last.TCP.BytesSent)
	resent := rate.Rise(first.TCP.BytesRetransmitted, last.TCP.BytesRetransmitted)
	f.Rate = rate.Rise(first.TCP.BytesAcked, last.TCP.BytesAcked) / passed.Seconds()
	f.In = rate.Rise(first.TCP.BytesReceived, last.TCP.BytesReceived) / passed.Seconds()
	f.Busy = rate.Rise(first.TCP.BusyMicros, last.TCP.BusyMicros) / float64(passed.Microseconds())
	f.Closed = rate.Rise(first.Limits.RwndLimitedMicros, last.Limits.RwndLimitedMicros) / float64(passed.Microseconds())
	if sent > 0 {
		f.Loss = resent / sent
	}
	f.Segments = uint64(rate.Rise(uint64(first.Limits.DataSegsOut), uint64(last.Limits.DataSegsOut)))
	f.Resent = uint64(rate.Rise(uint64(first.TCP.TotalRetrans), uint64(last.TCP.TotalRetrans)))
	f.Timeouts = uint64(rate.Rise(uint64(first.Limits.TotalRTO), uint64(last.Limits.TotalRTO)))
	if n := rate.Rise(uint64(first.Limits.DataSegsIn), uint64(last.Limits.DataSegsIn)); n > 0 {
		f.OutOfOrder = rate.Rise(uint64(first.Limits.RcvOutOfOrder), uint64(last.Limits.RcvOutOfOrder)) / n
	}
	f.looks(seen)
	f.losses(seen)
	return f
}

// looks fills in what is taken from each look.
func (f *Flow) looks(seen []*sockdiag.SubflowDetail) {
	n := float64(len(seen))
	var used, unsent, rtt, queues []float64
	for _, s := range seen {
		if s.Limits.NotSent == 0 {
			f.Empty += 1 / n
		}
		q := queue(s)
		if q >= max(100*time.Millisecond, 2*micros(s.TCP.MinRTTMicros)) {
			f.LongQueue += 1 / n
		}
		flying := s.TCP.Unacked - min(s.TCP.Unacked, s.TCP.Sacked)
		used, unsent = append(used, part(flying, s.TCP.Cwnd)), append(unsent, float64(s.Limits.NotSent))
		rtt, queues = append(rtt, float64(s.TCP.RTTMicros)), append(queues, float64(q))
		f.QueueMost = max(f.QueueMost, q)
	}
	f.Used, f.NotSent = median(used), median(unsent)
	f.RTT, f.Queue = time.Duration(median(rtt))*time.Microsecond, time.Duration(median(queues))
}

// losses fills in how what was sent again is spread over the time.
func (f *Flow) losses(seen []*sockdiag.SubflowDetail) {
	var intervals, losing, most, all float64
	for i := 1; i < len(seen); i++ {
		resent := rate.Rise(seen[i-1].TCP.BytesRetransmitted, seen[i].TCP.BytesRetransmitted)
		intervals++
		if resent > 0 {
			losing++
		}
		most, all = max(most, resent), all+resent
	}
	if intervals > 0 {
		f.Losing = losing / intervals
	}
	if all > 0 {
		f.Worst = most / all
	}
}

// enough says whether the looks allow a verdict.
func (v *View) enough(looks []Look) Enough {
	if len(looks) < leastLooks {
		return EnoughFew
	}
	gaps := make([]float64, 0, len(looks))
	for i := 1; i < len(looks); i++ {
		gaps = append(gaps, float64(looks[i].Time.Sub(looks[i-1].Time)))
	}
	planned := float64(v.Host.Interval)
	switch {
	case planned > 0 && (median(gaps) > 2*planned || float64(v.Passed) > 1.5*planned*float64(len(gaps))):
		return EnoughLate
	case v.Last.Connection.Info.Size < 80 || !v.Last.Connection.Memory.Known:
		return EnoughStatus
	case v.Moved < leastBytes && v.Pending < 0.8:
		return EnoughIdle
	}
	for i := range v.Flows {
		if f := &v.Flows[i]; f.Carries() && v.Passed < 10*f.RTT {
			return EnoughRTT
		}
	}
	return EnoughYes
}
