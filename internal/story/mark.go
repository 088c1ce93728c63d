package story

import (
	"fmt"
	"strings"
	"time"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Kind says what a mark is about.
type Kind uint8

// The kinds of marks.
const (
	Other     Kind = iota // an event that means nothing to the lanes
	Begin                 // the subflow or the connection came up
	Changed               // the tracker derived another state
	End                   // the subflow or the connection ended
	Backup                // the peer made the subflow a backup
	Regular               // the peer made it regular again
	Fallback              // the connection fell back to TCP
	Announced             // the peer announced an address
	Removed               // the peer removed an address
	Gap                   // events were lost, or their loss was made up for
)

var kindNames = [...]string{
	"other", "begin", "changed", "end", "backup", "regular", "fallback", "announced", "removed", "gap",
}

// String returns the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Mark is a moment on a lane, or in the life of the connection.
type Mark struct {
	At    time.Time
	Kind  Kind
	Event string // name of the event, such as "SF_PRIO"
	Text  string // what happened, "" where the name says it
}

// markOf returns the mark of an event.
func markOf(d *track.Delta) Mark {
	m := Mark{At: d.Event.Time, Event: d.Name, Text: strings.Join(d.Evidence, "; ")}
	switch d.Kind {
	case track.KindEvent:
		m.Kind, m.Text = ofKernel(&d.Event)
	case track.KindFallback:
		m.Kind, m.Text = Fallback, strings.TrimSpace("fell back to TCP "+d.Cause)
	case track.KindResync:
		m.Kind, m.Text = Gap, "read again from the kernel after a loss"
	case track.KindSubflowPending, track.KindSubflowSilent, track.KindSubflowStale:
		m.Kind = Changed
	case track.KindSubflowFailed, track.KindAborted:
		m.Kind = End
	}
	return m
}

// ofKernel returns kind and text of the mark of an event of the kernel.
func ofKernel(e *mptcp.Event) (kind Kind, text string) {
	switch e.Type {
	case mptcp.EventCreated, mptcp.EventEstablished, mptcp.EventSubflowEstablished:
		return Begin, ""
	case mptcp.EventClosed:
		return End, ""
	case mptcp.EventSubflowClosed:
		return End, EndReason(e)
	case mptcp.EventSubflowPriority:
		if e.Backup != 0 {
			return Backup, "the peer made it a backup"
		}
		return Regular, "the peer made it regular again"
	case mptcp.EventAnnounced:
		return Announced, announcement(e)
	case mptcp.EventRemoved:
		return Removed, fmt.Sprintf("the peer removed address id %d", e.RemoteID)
	case mptcp.EventLost:
		return Gap, "events were lost here"
	}
	return Other, ""
}

// announcement says which address the peer announced, with its port if it has one.
func announcement(e *mptcp.Event) string {
	text := fmt.Sprintf("the peer announced address id %d", e.RemoteID)
	at, ok := e.Remote()
	switch {
	case ok && at.Port() == 0:
		text += " " + at.Addr().String()
	case ok:
		text += " " + at.String()
	}
	return text
}

// EndReason says why the subflow of an SF_CLOSED ended.
func EndReason(e *mptcp.Event) string {
	var parts []string
	if e.Has(mptcp.FieldResetReason) {
		parts = append(parts, "reset: "+e.ResetReason.String())
	}
	if e.Has(mptcp.FieldError) && e.Error != 0 {
		parts = append(parts, e.Error.Name())
	}
	return strings.Join(parts, ", ")
}

// failReason says why a join did not come up.
func failReason(d *track.Delta) string {
	if len(d.Evidence) > 0 {
		return "failed: " + d.Evidence[0]
	}
	return "failed"
}
