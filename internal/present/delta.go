package present

import (
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// AppendDelta appends the line of a delta: an event of the kernel as Append does,
// one that was derived with its cause, its confidence and the evidence.
func (f *EventText) AppendDelta(b []byte, d *track.Delta) []byte {
	if d.Kind == track.KindEvent {
		return f.Append(b, &d.Event)
	}
	e := &d.Event
	b = f.appendTime(b, e.Time)
	b = append(b, '[')
	name := d.Kind.String()
	b = append(b, padding[min(len(name), nameWidth):]...)
	b = append(b, name...)
	b = append(b, ']')
	if e.Lost > 0 {
		b = appendField(b, " lost=", e.Lost)
	}
	b = f.appendFlow(b, withToken(e, d.Key))
	b = f.appendOutcome(b, e)
	if d.Cause != "" {
		b = append(b, " cause="...)
		b = append(b, Escape(d.Cause)...)
	}
	if d.Confidence != track.ConfidenceNone {
		b = append(b, " confidence="...)
		b = append(b, d.Confidence.String()...)
	}
	if netns := netnsOf(d); netns != "" {
		b = append(b, " netns="...)
		b = append(b, Escape(netns)...)
	}
	for i, line := range d.Evidence {
		if i == 0 {
			b = append(b, ": "...)
		} else {
			b = append(b, "; "...)
		}
		b = append(b, Escape(line)...)
	}
	return append(b, '\n')
}

// AppendDelta appends the object of a delta: an event of the kernel as Append does,
// any other with `"derived":true`, its cause, confidence and evidence. That includes
// OVERFLOW: the kernel sends no such event either.
func (f *EventJSON) AppendDelta(b []byte, d *track.Delta) []byte {
	if d.Kind == track.KindEvent {
		return f.Append(b, &d.Event)
	}
	e := *withToken(&d.Event, d.Key)
	e.Netns = netnsOf(d)
	b = append(b, `{"event":"`...)
	b = append(b, d.Kind.String()...)
	b = append(b, `","derived":true`...)
	if e.Lost > 0 {
		b = appendField(b, `,"lost":`, e.Lost)
	}
	b = f.appendFlow(b, &e)
	b = f.appendOutcome(b, &e)
	if d.Cause != "" {
		b = append(b, `,"cause":`...)
		b = AppendString(b, d.Cause)
	}
	if d.Confidence != track.ConfidenceNone {
		b = append(b, `,"confidence":"`...)
		b = append(b, d.Confidence.String()...)
		b = append(b, '"')
	}
	b = append(b, `,"evidence":[`...)
	for i, line := range d.Evidence {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(b, line)
	}
	return f.appendEnd(append(b, ']'), &e)
}

// withToken returns the event with the token of its connection, which one that was
// derived need not carry.
func withToken(e *mptcp.Event, k mptcp.Key) *mptcp.Event {
	if k.Token == 0 || e.Has(mptcp.FieldToken) {
		return e
	}
	named := *e
	named.Token, named.Fields = k.Token, named.Fields|mptcp.FieldToken
	return &named
}

func netnsOf(d *track.Delta) string {
	if d.Event.Netns != "" {
		return d.Event.Netns
	}
	return d.Key.Netns
}
