package tui

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
)

// laneLabel is the width of what stands in front of a lane.
const laneLabel = 16

// timeline draws the story of a connection.
type timeline struct {
	*look
	width int
	from  time.Time
	to    time.Time
}

// newTimeline chooses the time that is shown: all that is known of the story, or
// the last of it where span is not 0.
func newTimeline(l *look, s *story.Story, now time.Time, width int, span time.Duration) *timeline {
	to := now
	if !s.End.IsZero() {
		to = s.End.Add(s.End.Sub(s.From)/50 + time.Millisecond) // so that the end is seen
	}
	from := s.From
	if span > 0 {
		from = to.Add(-span)
	} else if to.Sub(from) < time.Second {
		from = to.Add(-time.Second)
	}
	return &timeline{l, max(width-laneLabel-1, 10), from, to}
}

// column returns the column of a moment, which may be outside.
func (t *timeline) column(at time.Time) int {
	if at.IsZero() || at.Before(t.from) {
		return -1
	}
	return int(float64(at.Sub(t.from)) / float64(t.to.Sub(t.from)) * float64(t.width-1))
}

// axis returns the line of times above the lanes.
func (t *timeline) axis() string {
	left, right := t.clock(t.from), t.clock(t.to)
	if t.to.Sub(t.from) < 10*time.Second {
		left, right = t.fine(t.from), t.fine(t.to)
	}
	middle := span(t.to.Sub(t.from))
	gap := t.width - len(left) - len(right) - len(middle)
	if gap < 4 {
		return strings.Repeat(" ", laneLabel+1) + t.paint(dim, spread(left, right, t.width))
	}
	rule := t.sign("─", "-")
	return strings.Repeat(" ", laneLabel+1) + t.paint(dim, left+" "+strings.Repeat(rule, gap/2-2)+" "+middle+" "+
		strings.Repeat(rule, gap-gap/2-2)+" "+right)
}

// glyph returns the sign of a state on a lane.
func (t *timeline) glyph(s mptcp.SubflowState) string {
	switch s {
	case mptcp.SubflowPending:
		return t.sign("┄", ".")
	case mptcp.SubflowEstablished:
		return t.sign("━", "=")
	case mptcp.SubflowSilent:
		return t.sign("░", "!")
	case mptcp.SubflowStale:
		return t.sign("╍", "~")
	case mptcp.SubflowClosing:
		return t.sign("─", "-")
	}
	return " "
}

// cell is one column of a lane.
type cell struct {
	sign  string
	style style
}

// blank returns an empty lane.
func (t *timeline) blank() []cell {
	return slices.Repeat([]cell{{" ", plainText}}, t.width)
}

// lane draws one lane with its label.
func (t *timeline) lane(l *story.Lane, path style) string {
	cells := t.blank()
	for i, s := range l.Stretches {
		until := t.to
		if i+1 < len(l.Stretches) {
			until = l.Stretches[i+1].From
		} else if !l.End.IsZero() {
			until = l.End
		}
		t.stretch(cells, s, until)
	}
	if l.Unknown && !l.End.IsZero() && t.column(l.End) < 0 {
		cells = t.blank()
	}
	t.putMarks(cells, l.Marks)
	if !l.End.IsZero() {
		s := dim
		if l.Reason != "" && l.Reason != story.WithConnection {
			s = bad
		}
		t.put(cells, l.End, t.sign("×", "x"), s)
	}
	label := ids(l.LocalID, l.RemoteID) + " " + present.Escape(l.Device)
	return t.paint(path, t.left(label, laneLabel)) + " " + t.row(cells)
}

// stretch draws a state from its beginning until another moment, at least one
// column.
func (t *timeline) stretch(cells []cell, s story.Stretch, until time.Time) {
	if !until.After(t.from) {
		return
	}
	end := min(t.column(until), len(cells)-1)
	for i := max(0, t.column(s.From)); i <= end; i++ {
		cells[i] = cell{t.glyph(s.State), stateStyle(s.State)}
	}
}

// put draws a sign at a moment.
func (t *timeline) put(cells []cell, at time.Time, sign string, s style) {
	if i := t.column(at); i >= 0 && i < len(cells) {
		cells[i] = cell{sign, s}
	}
}

// markSign returns the sign of a mark, "" where the lanes show it by other means.
func markSign(k story.Kind) string {
	switch k {
	case story.Backup:
		return "b"
	case story.Regular:
		return "r"
	case story.Fallback:
		return "F"
	case story.Announced:
		return "+"
	case story.Removed:
		return "-"
	case story.Gap:
		return "!"
	}
	return ""
}

// putMarks draws the marks that have a sign, and reports whether there are any.
func (t *timeline) putMarks(cells []cell, marks []story.Mark) (any bool) {
	for _, m := range marks {
		if sign := markSign(m.Kind); sign != "" {
			t.put(cells, m.At, sign, warn)
			any = true
		}
	}
	return any
}

// row joins the cells, neighbours of one style painted together.
func (t *timeline) row(cells []cell) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		j := i
		var run strings.Builder
		for ; j < len(cells) && cells[j].style == cells[i].style; j++ {
			run.WriteString(cells[j].sign)
		}
		b.WriteString(t.paint(cells[i].style, run.String()))
		i = j
	}
	return b.String()
}

// marks draws the moments that belong to no subflow; "" where there are none.
func (t *timeline) marks(s *story.Story) string {
	cells := t.blank()
	if !t.putMarks(cells, s.Marks) {
		return ""
	}
	return t.left("peer", laneLabel) + " " + t.row(cells)
}

// legend explains the signs in use.
func (t *timeline) legend() string {
	var parts []string
	shown := [...]mptcp.SubflowState{
		mptcp.SubflowPending, mptcp.SubflowEstablished, mptcp.SubflowSilent, mptcp.SubflowStale,
	}
	for _, s := range shown {
		parts = append(parts, t.glyph(s)+" "+s.String())
	}
	parts = append(parts, t.sign("×", "x")+" closed", "+/- address", "b/r backup")
	return t.paint(dim, strings.Join(parts, " "))
}

// moments lists what happened, as lines, oldest first.
func (t *timeline) moments(s *story.Story) []string {
	type moment struct {
		at   time.Time
		text string
	}
	var all []moment
	for _, m := range s.Marks {
		if markSign(m.Kind) != "" {
			all = append(all, moment{m.At, m.Text})
		}
	}
	for _, l := range s.Lanes {
		name := "subflow " + ids(l.LocalID, l.RemoteID)
		for i, s := range l.Stretches {
			if !s.From.IsZero() && !(i == 0 && l.Unknown) {
				all = append(all, moment{s.From, name + " " + s.State.String()})
			}
		}
		for _, m := range l.Marks {
			if markSign(m.Kind) != "" {
				all = append(all, moment{m.At, name + ": " + m.Text})
			}
		}
		if !l.End.IsZero() {
			text := name + " closed"
			if l.Reason != "" {
				text += ": " + l.Reason
			}
			all = append(all, moment{l.End, text})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	lines := make([]string, 0, len(all))
	for _, m := range all {
		lines = append(lines, t.fine(m.at)+" "+present.Escape(m.text))
	}
	return lines
}

func itoa(n int) string { return strconv.Itoa(n) }
