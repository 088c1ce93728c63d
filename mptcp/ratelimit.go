package mptcp

import (
	"fmt"
	"strings"
)

// Limiter is the kind of thing that limits the rate of a subflow.
type Limiter string

// The limiters.
const (
	LimitedByApplication   Limiter = "application"    // the process writes no faster, or the processor is busy
	LimitedByReceiveBuffer Limiter = "receive-buffer" // the window at the peer is small for rate and round trip
	LimitedByReader        Limiter = "reader"         // the process at the peer reads slowly
	LimitedBySendBuffer    Limiter = "send-buffer"    // the send buffer here is small for rate and round trip
	LimitedByOtherPath     Limiter = "other-path"     // data that another subflow carries must arrive first
	LimitedByPath          Limiter = "path"           // the path is full: the healthy end of a large transfer
	LimitedByBackup        Limiter = "backup"         // it waits until the others fail
	LimitedByNothing       Limiter = "not-needed"     // the others carry all that is written
	LimitedBySilence       Limiter = "silent"         // nothing that was sent is acknowledged
	LimitedByUnknown       Limiter = "unknown"        // the figures fit none
)

// RateLimit is what limits the rate of a subflow, by a series of looks at it.
type RateLimit struct {
	What  Limiter `json:"what"`
	Side  string  `json:"side,omitempty"`     // "peer" where the cause is there
	Other string  `json:"other,omitempty"`    // the device of the path that holds this one up: foreign, escape it
	Share float64 `json:"share"`              // of the looks in which it held, 0 to 1
	Rate  float64 `json:"rate_bps"`           // bits/s that the peer acknowledged
	Queue int64   `json:"queue_us,omitempty"` // of the path, in microseconds
	Loss  float64 `json:"loss,omitempty"`     // share of the bytes that were sent again, 0 to 1
}

// String returns the limit as lists show it, such as "path 18.8Mbit/s queue 19ms".
func (l *RateLimit) String() string {
	var b strings.Builder
	b.WriteString(string(l.What))
	switch {
	case l.Side != "":
		b.WriteString("(" + l.Side + ")")
	case l.Other != "":
		b.WriteString("(" + l.Other + ")")
	}
	switch l.What {
	case LimitedByPath:
		b.WriteString(" " + BitRate(l.Rate))
		if l.Queue >= 1000 {
			fmt.Fprintf(&b, " queue %dms", l.Queue/1000)
		}
		if l.Loss >= 0.005 {
			fmt.Fprintf(&b, " loss %.1f%%", 100*l.Loss)
		}
	case LimitedByReceiveBuffer, LimitedByReader, LimitedBySendBuffer, LimitedByOtherPath:
		fmt.Fprintf(&b, " %.0f%%", 100*l.Share)
	}
	return b.String()
}

// BitRate returns bits a second with their unit, such as "18.8Mbit/s".
func BitRate(bits float64) string {
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.1fGbit/s", bits/1e9)
	case bits >= 1e5:
		return fmt.Sprintf("%.1fMbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.0fkbit/s", bits/1e3)
}
