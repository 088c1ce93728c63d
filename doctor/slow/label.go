package slow

import (
	"fmt"
	"strings"
	"time"
)

// What is the kind of thing that limits a subflow.
type What string

// The kinds.
const (
	Application   What = "application"    // the process writes no faster, or this host's processor is busy
	ReceiveBuffer What = "receive-buffer" // the window at the peer is small for the rate and the round trip
	Reader        What = "reader"         // the process at the peer reads slowly
	SendBuffer    What = "send-buffer"    // the send buffer of this host is small for the rate and the round trip
	OtherPath     What = "other-path"     // data that another subflow carries must arrive first
	Path          What = "path"           // the path is full: the healthy end of a large transfer
	BackupFlow    What = "backup"         // it waits until the others fail
	NotNeeded     What = "not-needed"     // the others carry all that is written
	Silent        What = "silent"         // nothing that was sent is acknowledged
	Unclear       What = "unknown"        // the figures fit no kind
)

// Limit is what limits a subflow at present.
type Limit struct {
	What  What    `json:"what"`
	Side  string  `json:"side,omitempty"`     // "peer" where the cause is there
	Other string  `json:"other,omitempty"`    // the device of the path that OtherPath is about; foreign
	Share float64 `json:"share"`              // of the looks in which it held
	Rate  float64 `json:"rate_bps"`           // bits/s that the peer acknowledged
	Queue int64   `json:"queue_us,omitempty"` // of the path, in microseconds
	Loss  float64 `json:"loss,omitempty"`     // share of the bytes that were sent again
}

// String returns the limit as lists show it.
func (l *Limit) String() string {
	var b strings.Builder
	b.WriteString(string(l.What))
	switch {
	case l.Side != "":
		b.WriteString("(" + l.Side + ")")
	case l.Other != "":
		b.WriteString("(" + l.Other + ")")
	}
	switch l.What {
	case Path:
		b.WriteString(" " + Rate(l.Rate/8))
		if l.Queue >= 1000 {
			fmt.Fprintf(&b, " queue %dms", l.Queue/1000)
		}
		if l.Loss >= 0.005 {
			fmt.Fprintf(&b, " loss %.1f%%", 100*l.Loss)
		}
	case ReceiveBuffer, Reader, SendBuffer, OtherPath:
		fmt.Fprintf(&b, " %.0f%%", 100*l.Share)
	}
	return b.String()
}

// Rate returns bytes a second as bits a second.
func Rate(bytes float64) string {
	bits := 8 * bytes
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.1fGbit/s", bits/1e9)
	case bits >= 1e5:
		return fmt.Sprintf("%.1fMbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.0fkbit/s", bits/1e3)
}

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
	case v.headOfLineBlocks():
		return OtherPath
	case v.window() && v.reads():
		return Reader
	case v.window():
		return ReceiveBuffer
	case v.Waiting <= 0.3 && v.Full >= 0.6 && len(carrying) > 0 &&
		all(carrying, func(f *Flow) bool { return f.Empty >= 0.4 && f.Used < 0.8 }):
		return SendBuffer
	case all(carrying, func(f *Flow) bool { return f.Empty >= 0.4 }) && v.Waiting < 0.7:
		return Application // nothing in the network holds it: the processor, or the process
	}
	return Path
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

// reads reports whether the window at the peer opens and closes, as where its process reads
// slowly. A small buffer keeps its window.
func (v *View) reads() bool { return v.WindowTop > 0 && v.WindowLow <= 0.25*v.WindowTop }

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
