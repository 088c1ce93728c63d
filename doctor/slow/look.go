package slow

import (
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/sockdiag"
)

// Look is what the kernel said of one connection and its subflows at a moment.
type Look struct {
	Time       time.Time
	Connection sockdiag.ConnectionDetail
	Subflows   []sockdiag.SubflowDetail
}

// Host is what else the rules know.
type Host struct {
	Netns       string            // that the connections are in, "" for the reader's own
	Devices     map[uint64]string // by the cookie of a subflow: the device that it leaves by
	Dropped     map[string]uint64 // by device: packets that its own queue dropped during the looks
	ReceiveMost uint64            // the last value of net.ipv4.tcp_rmem in bytes, 0 if unknown
	SendMost    uint64            // the last value of net.ipv4.tcp_wmem in bytes, 0 if unknown
	Interval    time.Duration     // at which the looks were meant to follow each other
}

// Enough is why a series of looks allows a verdict or not.
type Enough uint8

// What a series of looks is good for.
const (
	EnoughYes    Enough = iota
	EnoughFew           // fewer than ten looks
	EnoughLate          // the looks came late: the machine is too busy to measure
	EnoughIdle          // too little was carried, and nothing waited
	EnoughRTT           // the time is short for the round trip: look longer
	EnoughGone          // the connection ended or its subflows changed
	EnoughStatus        // the kernel lacks figures: Linux 6.5 is needed
)

// String returns the reason in words.
func (e Enough) String() string {
	return [...]string{
		"enough", "fewer than ten looks", "the looks came late, because this host is busy",
		"not enough traffic to tell", "the look is short for this round-trip time: use a longer --look",
		"the connection ended", "the kernel lacks the figures (Linux 6.5)",
	}[e]
}

// The bounds of what is worth a verdict.
const (
	leastLooks = 10
	leastBytes = 256 << 10

	leastWindow = 2 << 10 // bytes: with less the peer is as good as closed

	burst = 64 << 10 // that the scheduler gives to one subflow at a time (mptcp_subflow_get_send)
)

// Flow is what a subflow did between the first and the last look.
type Flow struct {
	Socket sockdiag.SubflowDetail // as it was last
	Device string                 // foreign: escape it before showing
	Backup bool                   // either end asked for it
	Share  float64                // of the bytes that all subflows got acknowledged
	Rate   float64                // bytes/s that the peer acknowledged
	In     float64                // bytes/s received
	Busy   float64                // share of the time with data in flight
	Closed float64                // share of the time in which the window at the peer held data back
	Loss   float64                // share of the bytes that were sent again

	Segments, Resent uint64  // sent with data; of those sent again, about
	Timeouts         uint64  // retransmission timeouts; 0 before Linux 6.7
	Empty            float64 // share of looks with nothing unsent in its queue
	Used             float64 // median share of the congestion window in flight
	NotSent          float64 // median bytes that wait in its queue
	RTT, Queue       time.Duration
	QueueMost        time.Duration // the longest, of round trips over the smallest one
	LongQueue        float64       // share of looks with a queue of more than 100 ms and two round trips
	Losing           float64       // share of the intervals in which something was sent again
	Worst            float64       // the largest part of what was sent again in one interval
	OutOfOrder       float64       // share of the received segments that came out of order
}

// Carries reports whether the subflow has a part in what the connection carries.
func (f *Flow) Carries() bool { return f.Share >= 0.05 }

// Idle reports whether the subflow often waits for data.
func (f *Flow) idle() bool { return f.Busy < 0.95 || f.Empty >= 0.25 }

// View is what a connection did between the first and the last look.
type View struct {
	Enough  Enough
	Host    *Host
	Token   mptcp.Token
	Last    *Look
	Passed  time.Duration
	Sending bool    // it sent more than it received
	Out, In float64 // bytes/s at the level of the connection

	Written   float64 // median bytes that the process wrote and the peer has not acknowledged
	Unplaced  float64 // median bytes of those that no subflow has got
	Placed    float64 // median bytes of those that subflows have
	Waiting   float64 // share of looks in which some had no subflow
	Pending   float64 // share of looks in which anything was not acknowledged
	Quiet     float64 // share of looks in which little was written and the buffer was nearly empty
	Full      float64 // median share of the send buffer in use
	Unread    float64 // median share of the receive buffer in use
	UnreadHi  float64 // share of looks in which that was over three quarters
	Window    float64 // median window of the peer in bytes
	WindowLow float64 // the smallest
	WindowTop float64 // the largest
	Moved     uint64  // bytes in the larger direction
	Flows     []Flow
}
