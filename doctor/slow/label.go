package slow

import (
	"time"

	"mptcpctl/mptcp"
)

// What is the kind of thing that limits a subflow, and Limit what limits one at present.
type (
	What  = mptcp.Limiter
	Limit = mptcp.RateLimit
)

// The kinds, as [mptcp.Limiter] has them.
const (
	Application   = mptcp.LimitedByApplication
	ReceiveBuffer = mptcp.LimitedByReceiveBuffer
	Reader        = mptcp.LimitedByReader
	SendBuffer    = mptcp.LimitedBySendBuffer
	OtherPath     = mptcp.LimitedByOtherPath
	Path          = mptcp.LimitedByPath
	BackupFlow    = mptcp.LimitedByBackup
	NotNeeded     = mptcp.LimitedByNothing
	Silent        = mptcp.LimitedBySilence
	Unclear       = mptcp.LimitedByUnknown
)

// Rate returns bytes a second as bits a second.
func Rate(bytes float64) string { return mptcp.BitRate(8 * bytes) }

// Labels returns what limits each of v.Flows, nil where the looks do not tell: those at a
// connection that mainly receives say nothing about the sending host.
func Labels(v *View) []*Limit {
	labels := make([]*Limit, len(v.Flows))
	if v.Enough != EnoughYes || !v.Sending {
		return labels
	}
	limit := v.limit()
	for i := range v.Flows {
		f := &v.Flows[i]
		l := v.label(limit, f)
		l.Rate = 8 * f.Rate
		if l.What == Path {
			l.Queue, l.Loss = f.Queue.Microseconds(), f.Loss
		}
		labels[i] = &l
	}
	return labels
}

// label returns what limits one subflow of a connection with that limit.
func (v *View) label(limit What, f *Flow) Limit {
	switch {
	case f.silent():
		return Limit{What: Silent, Share: 1}
	case !f.Carries() && f.Backup:
		return Limit{What: BackupFlow, Share: 1}
	case limit == Application && !f.Carries():
		return Limit{What: NotNeeded, Share: f.Empty}
	case limit == Application:
		return Limit{What: Application, Share: v.Quiet}
	case limit == OtherPath:
		return v.headOfLine(f)
	case limit == Reader || limit == ReceiveBuffer:
		return Limit{What: limit, Side: "peer", Share: v.Waiting}
	case limit == SendBuffer:
		return Limit{What: SendBuffer, Share: 1 - v.Waiting}
	case f.Empty <= 0.3:
		return Limit{What: Path, Share: 1 - f.Empty}
	case !f.Carries():
		return Limit{What: NotNeeded, Share: f.Empty}
	}
	return Limit{What: Unclear, Share: 1}
}

// headOfLine returns the label of a subflow where the round trips differ much.
func (v *View) headOfLine(f *Flow) Limit {
	fast, slow := v.extremes()
	switch {
	case f.RTT < slow.RTT/2 || f == fast:
		return Limit{What: OtherPath, Other: slow.Device, Share: max(f.Empty, 1-f.Busy)}
	case v.window():
		return Limit{What: ReceiveBuffer, Side: "peer", Share: v.Waiting}
	case f.Empty <= 0.3:
		return Limit{What: Path, Share: 1 - f.Empty}
	}
	return Limit{What: SendBuffer, Share: f.Empty}
}

// limit returns what limits the connection. The order matters: each question is only right
// where the ones before it were answered with no.
func (v *View) limit() What {
	carrying := v.carrying()
	switch {
	case v.Last.Connection.Info.Fallback() && len(v.Flows) == 1:
		return v.limitOfTCP()
	case v.Quiet >= 0.7 && all(carrying, func(f *Flow) bool { return f.NotSent == 0 }):
		return Application
	case v.stalls():
		return Reader
	case v.headOfLineBlocks():
		return OtherPath
	case v.window() && v.reads():
		return Reader
	case v.window():
		return ReceiveBuffer
	case v.sendBuffer(carrying):
		return SendBuffer
	case all(carrying, func(f *Flow) bool { return f.Empty >= 0.4 }) && v.Waiting < 0.7:
		return Application // nothing in the network holds it: the processor, or the process
	}
	return Path
}

// stalls reports whether nothing moves because the window at the peer is closed: data waits, and
// no subflow has any in flight that could be lost.
func (v *View) stalls() bool {
	if v.Out > 0 || v.Pending < 0.8 || v.WindowLow >= leastWindow {
		return false
	}
	for i := range v.Flows {
		if v.Flows[i].silent() {
			return false
		}
	}
	return len(v.Flows) > 0
}

// sendBuffer reports whether the process waits for its send buffer while the paths have room.
// Small queues in the subflows prove nothing against it: of 64 kB a few are always on their way.
func (v *View) sendBuffer(carrying []*Flow) bool {
	if v.Waiting > 0.3 || v.Full < 0.6 || len(carrying) == 0 {
		return false
	}
	if v.fixed() || v.grown() {
		return all(carrying, func(f *Flow) bool { return f.Used < 0.6 })
	}
	return all(carrying, func(f *Flow) bool { return f.Empty >= 0.4 && f.Used < 0.8 })
}

// grown reports whether the buffers of all subflows have reached what net.ipv4.tcp_wmem allows.
func (v *View) grown() bool {
	for i := range v.Flows {
		if float64(v.Flows[i].Socket.Memory.SendBuffer) < 0.9*float64(v.Host.SendMost) {
			return false
		}
	}
	return v.Host.SendMost > 0 && len(v.Flows) > 0
}

// limitOfTCP returns what limits a connection that speaks plain TCP: there the kernel's own
// times are right.
func (v *View) limitOfTCP() What {
	s := &v.Flows[0].Socket
	busy := float64(s.TCP.BusyMicros)
	switch {
	case s.Limits.AppLimited:
		return Application
	case float64(s.Limits.RwndLimitedMicros) >= 0.5*busy:
		return ReceiveBuffer
	case float64(s.Limits.SndbufLimitedMicros) >= 0.5*busy:
		return SendBuffer
	}
	return Path
}

// window reports whether the window at the peer holds data back.
func (v *View) window() bool {
	carrying := v.carrying()
	return v.Waiting >= 0.7 && len(carrying) > 0 &&
		all(carrying, func(f *Flow) bool { return f.Used < 0.6 && f.NotSent < burst })
}

// reads reports whether the process at the peer governs the window, which then moves, or stays nearly
// closed: no buffer is as small as that. A small buffer keeps its window.
func (v *View) reads() bool {
	return v.WindowLow < 0.67*v.WindowTop || v.WindowTop < 2*leastWindow || v.collapses()
}

// collapses reports whether the window at the peer closes again and again.
func (v *View) collapses() bool {
	for i := range v.Flows {
		if v.Flows[i].Closed >= 0.1 {
			return true
		}
	}
	return v.WindowTop > 0 && v.WindowLow <= 0.25*v.WindowTop
}

// headOfLineBlocks reports whether a fast subflow waits for a slow one.
func (v *View) headOfLineBlocks() bool {
	fast, slow := v.extremes()
	return fast != nil && slow.RTT >= 4*fast.RTT && fast.idle() && v.Full >= 0.6
}

// extremes returns the carrying subflows with the shortest and the longest round trip.
func (v *View) extremes() (fast, slow *Flow) {
	for _, f := range v.carrying() {
		if fast == nil || f.RTT < fast.RTT {
			fast = f
		}
		if slow == nil || f.RTT > slow.RTT {
			slow = f
		}
	}
	return fast, slow
}

// carrying returns the subflows that have a part in what the connection carries.
func (v *View) carrying() []*Flow {
	var found []*Flow
	for i := range v.Flows {
		if v.Flows[i].Carries() {
			found = append(found, &v.Flows[i])
		}
	}
	return found
}

func all(flows []*Flow, holds func(*Flow) bool) bool {
	for _, f := range flows {
		if !holds(f) {
			return false
		}
	}
	return true
}

// silent reports whether the subflow has data in flight that the peer does not acknowledge.
func (f *Flow) silent() bool {
	return f.Rate == 0 && f.Socket.TCP.Backoff >= 2 && f.Busy >= 0.95 && f.Socket.TCP.Unacked > 0
}

// longest returns the longest round trip of the carrying subflows.
func (v *View) longest() time.Duration {
	var longest time.Duration
	for _, f := range v.carrying() {
		longest = max(longest, f.RTT)
	}
	return longest
}
