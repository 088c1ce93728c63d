package story

import (
	"encoding/json"
	"net/netip"
	"time"

	"mptcpctl/mptcp"
)

// The JSON form of a story. Times are UTC; what is not known is left out.
type (
	storyJSON struct {
		From  time.Time  `json:"from"`
		End   *time.Time `json:"end,omitempty"`
		How   string     `json:"how,omitempty"`
		Lanes []laneJSON `json:"lanes"`
		Marks []markJSON `json:"marks"`
	}
	laneJSON struct {
		Local    netip.AddrPort  `json:"local"`
		Remote   netip.AddrPort  `json:"remote"`
		LocalID  mptcp.AddressID `json:"local_id"`
		RemoteID mptcp.AddressID `json:"remote_id"`
		Device   string          `json:"device"`
		Initial  bool            `json:"initial"`
		Backup   bool            `json:"backup"`
		Segments []segmentJSON   `json:"segments"`
		Marks    []markJSON      `json:"marks"`
		End      *time.Time      `json:"end,omitempty"`
		Reason   string          `json:"reason,omitempty"`
	}
	segmentJSON struct {
		State string     `json:"state"`
		From  time.Time  `json:"from"`
		To    *time.Time `json:"to,omitempty"`
	}
	markJSON struct {
		Time  time.Time `json:"time"`
		Kind  string    `json:"kind"`
		Event string    `json:"event"`
		Text  string    `json:"text,omitempty"`
	}
)

// MarshalJSON implements [json.Marshaler]. Each lane has segments with a beginning
// and, unless it is the present one, an end; marks have the names of their kinds.
func (s *Story) MarshalJSON() ([]byte, error) {
	form := storyJSON{From: s.From.UTC(), End: known(s.End), Marks: marksJSON(s.Marks)}
	form.Lanes = make([]laneJSON, len(s.Lanes))
	if !s.End.IsZero() {
		form.How = s.How.String()
	}
	for i, l := range s.Lanes {
		form.Lanes[i] = laneJSON{
			Local: l.Local, Remote: l.Remote, LocalID: l.LocalID, RemoteID: l.RemoteID, Device: l.Device,
			Initial: l.Initial, Backup: l.Backup, Segments: s.segments(l), Marks: marksJSON(l.Marks),
			End: known(l.End), Reason: l.Reason,
		}
		if l.Reason == WithConnection {
			form.Lanes[i].Reason = form.How
		}
	}
	return json.Marshal(form)
}

// segments returns the stretches of a lane with their ends. One that began before
// anything is known begins with the story.
func (s *Story) segments(l *Lane) []segmentJSON {
	list := make([]segmentJSON, 0, len(l.Stretches))
	for i, part := range l.Stretches {
		from, to := part.From, l.End
		if from.IsZero() {
			from = s.From
		}
		if i+1 < len(l.Stretches) {
			to = l.Stretches[i+1].From
		}
		state := part.State.String()
		if part.Assumed {
			state = mptcp.SubflowUnknown.String()
		}
		list = append(list, segmentJSON{State: state, From: from.UTC(), To: known(to)})
	}
	return list
}

func marksJSON(marks []Mark) []markJSON {
	list := make([]markJSON, len(marks))
	for i, m := range marks {
		list[i] = markJSON{Time: m.At.UTC(), Kind: m.Kind.String(), Event: m.Event, Text: m.Text}
	}
	return list
}

// known returns the time, nil where it is zero.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
