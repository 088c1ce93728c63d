package tui

import (
	"net/netip"
	"strings"

	"mptcpctl/internal/present"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// eventLines draws events, one line each.
type eventLines struct {
	*look
}

// line returns the line of an event.
func (l *eventLines) line(d *track.Delta) string {
	e := &d.Event
	var b strings.Builder
	b.WriteString(l.fine(e.Time))
	b.WriteString(" ")
	b.WriteString(l.paint(l.weight(d), l.left(d.Name, 16)))
	if d.Kind == track.KindOverflow || e.Type == mptcp.EventLost {
		b.WriteString(" " + itoa(int(e.Lost)) + " lost")
		return b.String()
	}
	if e.Has(mptcp.FieldToken) || d.Key.Token != 0 {
		b.WriteString(" " + d.Key.Token.String())
	}
	if d.Key.Netns != "" {
		b.WriteString(" netns " + present.Escape(d.Key.Netns))
	}
	switch {
	case e.Has(mptcp.FieldLocalID):
		b.WriteString(" " + ids(e.LocalID, e.RemoteID))
	case e.Has(mptcp.FieldRemoteID):
		b.WriteString(" id " + itoa(int(e.RemoteID)))
	}
	b.WriteString(where(e))
	if e.Has(mptcp.FieldBackup) && e.Backup != 0 {
		b.WriteString(" backup")
	}
	if reason := story.EndReason(e); reason != "" {
		b.WriteString(" " + l.paint(bad, reason))
	}
	if d.Derived() {
		b.WriteString(l.derived(d))
	}
	return b.String()
}

// where returns the addresses of an event.
func where(e *mptcp.Event) string {
	local, okLocal := e.Local()
	remote, okRemote := e.Remote()
	switch {
	case okLocal && okRemote:
		return " " + flow(local, remote)
	case okLocal:
		return " " + local.String()
	case okRemote:
		return " " + withoutZero(remote)
	}
	return ""
}

// withoutZero returns the address and its port, without a port where that is 0.
func withoutZero(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// derived returns what the tracker bases its event on.
func (l *eventLines) derived(d *track.Delta) string {
	text := ""
	if d.Cause != "" {
		text += " " + present.Escape(d.Cause)
	}
	if d.Confidence != track.ConfidenceNone {
		text += " (" + d.Confidence.String() + ")"
	}
	evidence := make([]string, 0, len(d.Evidence))
	for _, e := range d.Evidence {
		evidence = append(evidence, present.Escape(e))
	}
	if len(evidence) > 0 {
		text += l.paint(dim, " "+strings.Join(evidence, "; "))
	}
	return text
}

// weight returns the style of an event's name.
func (l *eventLines) weight(d *track.Delta) style {
	switch d.Kind {
	case track.KindFallback, track.KindSubflowFailed, track.KindSubflowSilent, track.KindAborted, track.KindOverflow:
		return bad
	case track.KindSubflowPending, track.KindSubflowStale, track.KindResync, track.KindEndpointSkipped:
		return warn
	}
	switch d.Event.Type {
	case mptcp.EventCreated, mptcp.EventEstablished, mptcp.EventSubflowEstablished:
		return good
	case mptcp.EventSubflowClosed, mptcp.EventLost:
		return warn
	case mptcp.EventClosed, mptcp.EventListenerClosed:
		return dim
	}
	return plainText
}

// events is the fourth screen: the last events, the newest at the bottom.
type events struct {
	eventLines
	picked  []*track.Delta
	noEvent string
	from    int // how many events below the screen: 0 follows the newest
	width   int
	height  int
}

// render returns the screen's lines.
func (v *events) render() []string {
	if len(v.picked) == 0 {
		text := "no event yet"
		if v.noEvent != "" {
			text = v.noEvent
		}
		return []string{"", "  " + text}
	}
	end := max(len(v.picked)-v.from, min(v.height, len(v.picked)))
	start := max(0, end-v.height)
	lines := make([]string, 0, end-start)
	for _, d := range v.picked[start:end] {
		lines = append(lines, v.clip(v.line(d), v.width))
	}
	return lines
}
