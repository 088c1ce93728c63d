package chronicle

import (
	"strconv"
	"time"

	"mptcpctl/mptcp"
)

// Schema is the version of the format. It grows when a reader that knows the one before
// would read something wrong, not when keys or kinds are added.
const Schema = 1

// Kind tells what a line is about.
type Kind string

// The kinds of lines.
const (
	KindBegin      Kind = "begin"      // the first line of each file: who writes, and since when
	KindHost       Kind = "host"       // a network namespace: its path manager, endpoints, links, addresses
	KindState      Kind = "state"      // a connection that lived when the file began
	KindEvent      Kind = "event"      // an event of the kernel, or one that was derived
	KindConnection Kind = "connection" // a connection was seen first, changed its subflows, or ended
	KindFigures    Kind = "figures"    // bytes and round-trip times of subflows whose bytes moved
	KindCounters   Kind = "counters"   // counters that moved
	KindSummary    Kind = "summary"    // what was left out, because there was too much
	KindFinding    Kind = "finding"    // doctor found something, or finds it no longer
	KindLost       Kind = "lost"       // lines before this one are missing
	KindStop       Kind = "stop"       // the observer ended in order
)

// Kinds returns the kinds of lines.
func Kinds() []Kind {
	return []Kind{
		KindBegin, KindHost, KindState, KindEvent, KindConnection, KindFigures, KindCounters, KindSummary, KindFinding,
		KindLost, KindStop,
	}
}

// Line is one line of a history.
type Line struct {
	Seq  uint64
	Time time.Time
	Kind Kind
	Pair mptcp.Pair // of the connection, zero where it is not known or there is none
	// Object is the JSON of what the line says, "" for none. It is as long good as the
	// bytes that it was parsed from.
	Object []byte
}

// timeLayout is RFC 3339 with nine digits behind the point, so that texts sort as times.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// Append appends the line with its line break.
func (l *Line) Append(b []byte) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, l.Seq, 10)
	b = append(b, `,"t":"`...)
	b = l.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","kind":"`...)
	b = append(b, l.Kind...)
	b = append(b, '"')
	if !l.Pair.IsZero() {
		b = append(b, `,"pair":"`...)
		b = append(b, l.Pair.String()...)
		b = append(b, '"')
	}
	if len(l.Object) > 0 {
		b = append(b, `,"`...)
		b = append(b, l.Kind...)
		b = append(b, `":`...)
		b = append(b, l.Object...)
	}
	return append(b, "}\n"...)
}

// Gap is the object of a line of the kind lost.
type Gap struct {
	Lines uint64 // how many lines before this one are missing
	Where string // where they went: "observer", "disk", …
}

// Append appends the gap's JSON.
func (g Gap) Append(b []byte) []byte {
	b = append(b, `{"lines":`...)
	b = strconv.AppendUint(b, g.Lines, 10)
	b = append(b, `,"where":"`...)
	b = append(b, g.Where...)
	return append(b, `"}`...)
}
