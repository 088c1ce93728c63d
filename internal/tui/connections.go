package tui

import (
	"strconv"
	"strings"
	"time"

	"mptcpctl/internal/present"
	"mptcpctl/internal/rate"
	"mptcpctl/internal/story"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// connections is the second screen: the connections as trees. Only the rows on
// the screen are made.
type connections struct {
	*look
	state  *track.State
	order  *order
	watch  map[mptcp.Key]*rate.Series
	cursor int // the item under the cursor
	top    int // the first row
	sorted sorting
	back   bool // in reverse
	follow mptcp.Key
	width  int
	height int
}

// Columns of a connection's line.
const (
	stateColumn = 11
	sideColumn  = 7
	bytesColumn = 7
)

// render returns the screen's lines, the heading included.
func (c *connections) render() []string {
	arrow := c.sign("▼", "v")
	if c.back {
		arrow = c.sign("▲", "^")
	}
	heading := "  " + c.left("TOKEN", 9) + c.left("STATE", stateColumn+1) + c.left("SIDE", sideColumn) +
		right("SENT", bytesColumn) + right("RECEIVED", bytesColumn+2) + "  LOCAL > REMOTE"
	lines := []string{
		spread(c.paint(bold, c.clip(heading, c.width)), c.paint(dim, "by "+sortingNames[c.sorted]+" "+arrow), c.width),
	}
	if len(c.order.items) == 0 {
		return append(lines, "", "  "+c.nothing())
	}
	for i := c.order.itemAt(c.top); i < len(c.order.items) && len(lines) < c.height; i++ {
		item := &c.order.items[i]
		for n, line := range c.tree(i, item) {
			if item.first+n >= c.top && len(lines) < c.height {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func (c *connections) nothing() string {
	if c.state.Len() > 0 {
		return "no connection matches the filter (there are " + strconv.Itoa(c.state.Len()) + ")"
	}
	return "no MPTCP connection (plain TCP sockets do not count: see `mptcpctl run` and `mptcpctl doctor`)"
}

// tree returns the rows of an item: as many as the list has reserved.
func (c *connections) tree(i int, item *item) []string {
	lines := make([]string, 0, item.rows)
	mptcpConnection, ok := c.state.Lookup(item.key)
	if !ok {
		lines = append(lines, "  "+c.paint(dim, item.key.Token.String()+" gone"))
	} else {
		lines = append(lines, c.connection(i, item, &mptcpConnection))
		series := c.watch[item.key]
		for n := range mptcpConnection.Subflows {
			if len(lines) < item.rows {
				lines = append(lines, c.subflow(&mptcpConnection.Subflows[n], series, n, len(lines) == item.rows-1))
			}
		}
	}
	for len(lines) < item.rows { // a subflow ended since the list was put in order
		lines = append(lines, "")
	}
	return lines
}

func (c *connections) connection(i int, item *item, m *mptcp.Connection) string {
	cursor := " "
	if i == c.cursor && !c.lines {
		cursor = c.sign("▸", ">")
	}
	mark := " "
	if item.key == c.follow {
		mark = "*"
	}
	state, s := m.State.String(), good
	switch {
	case item.ended:
		state, s = "ended", dim
	case m.Fallback:
		state, s = "fallback", bad
	case m.State != mptcp.StateEstablished:
		s = dim
	}
	side := m.Side.String()
	if m.Side == mptcp.SideUnknown {
		side = "-"
	}
	line := cursor + mark + c.paint(bold, m.Token.String()) + " " + c.paint(
		s, c.left(state, stateColumn),
	) + " " + c.left(side, sideColumn) +
		right(bytesText(m.BytesSent), bytesColumn) + right(
		bytesText(m.BytesReceived),
		bytesColumn+2,
	) + "  " + flow(m.Local, m.Remote)
	if m.Netns != "" {
		line += " netns " + present.Escape(m.Netns)
	}
	if m.Fallback && m.FallbackCause != "" {
		line += " " + present.Escape(m.FallbackCause)
	}
	line += processes(m)
	line = c.clip(line, c.width)
	if i == c.cursor && c.color {
		return c.paint(selected, c.left(unpainted(line), c.width))
	}
	return line
}

func processes(m *mptcp.Connection) string {
	var b strings.Builder
	for i, p := range m.Processes {
		if i == 0 {
			b.WriteString(" ")
		} else {
			b.WriteString(",")
		}
		b.WriteString(present.Escape(p.Name) + "[" + strconv.Itoa(p.PID) + "]")
	}
	return b.String()
}

// subflow returns the row of the n-th subflow.
func (c *connections) subflow(f *mptcp.Subflow, s *rate.Series, n int, end bool) string {
	branch := c.sign("├─ ", "|- ")
	if end {
		branch = c.sign("└─ ", "`- ")
	}
	path := path1 + style(n%paths)
	r := s.Of(f)
	device := present.Escape(f.Device)
	if device == "" {
		device = "-"
	}
	line := "  " + c.paint(
		dim,
		branch,
	) + c.left(
		ids(f.LocalID, f.RemoteID),
		4,
	) + " " + c.paint(
		path,
		c.left(device, 8),
	) + " " +
		c.paint(
			stateStyle(f.State),
			c.left(f.State.String(), stateColumn),
		) + " "
	if !c.lines {
		line += c.bar(f.Share, 8, path)
	}
	line += right(percent(f.Share), 5) + right(millis(f.RTTMicros), 9) + "  " +
		"out " + c.left(rateText(rate.Last(r.Out)), 8) + " in " + c.left(rateText(rate.Last(r.In)), 8) +
		backupText(f) + " " + flow(f.Local, f.Remote)
	return c.clip(line, c.width)
}

func backupText(f *mptcp.Subflow) string {
	switch {
	case f.BackupLocal && f.BackupRemote:
		return " backup"
	case f.BackupLocal:
		return " backup here"
	case f.BackupRemote:
		return " backup peer"
	}
	return ""
}

// detail is the third screen: one connection.
type detail struct {
	*look
	facts  *story.Facts
	series *rate.Series
	span   time.Duration // of the timeline; 0: all
	width  int
}

// render returns all lines of the screen.
func (d *detail) render() []string {
	c := &d.facts.Connection
	lines := d.head(c)
	told := story.Tell(d.facts)
	width := d.width
	if width <= 0 {
		width = 80
	}
	t := newTimeline(d.look, told, d.facts.Now, width, d.span)
	if !d.lines {
		lines = append(lines, "", t.axis())
		for i, l := range told.Lanes {
			lines = append(lines, t.lane(l, path1+style(i%paths)))
		}
		if marks := t.marks(told); marks != "" {
			lines = append(lines, marks)
		}
		lines = append(lines, t.legend())
	}
	lines = append(lines, "")
	for i := range c.Subflows {
		if d.facts.Ended == nil {
			lines = append(lines, d.subflow(&c.Subflows[i], told)...)
		}
	}
	if moments := t.moments(told); len(moments) > 0 {
		lines = append(lines, "", d.paint(bold, "What happened"))
		lines = append(lines, moments...)
	}
	return lines
}

// head says which connection it is and how it does.
func (d *detail) head(c *mptcp.Connection) []string {
	state := c.State.String()
	if e := d.facts.Ended; e != nil {
		state = d.paint(dim, "ended at "+d.clock(e.At)+" ("+e.How.String()+")")
	}
	first := d.paint(bold, c.Token.String()) + " " + state
	if c.Side != mptcp.SideUnknown {
		first += " " + c.Side.String()
	}
	first += " " + flow(c.Local, c.Remote)
	if c.Fallback {
		first += " " + d.paint(bad, strings.TrimSpace("fallback to TCP "+present.Escape(c.FallbackCause)))
	}
	out, in := d.series.Total()
	second := "sent " + bytesText(
		c.BytesSent,
	) + " (" + rateText(
		out,
	) + ")  received " + bytesText(
		c.BytesReceived,
	) + " (" + rateText(
		in,
	) + ")"
	if c.BytesRetransmitted > 0 {
		second += "  retransmitted " + bytesText(c.BytesRetransmitted)
	}
	if !c.Since.IsZero() {
		until := d.facts.Now
		if d.facts.Ended != nil {
			until = d.facts.Ended.At
		}
		second += "  for " + span(until.Sub(c.Since))
	}
	l := &c.Limits
	third := "extra subflows " + itoa(int(l.Subflows)) + " of " + itoa(int(l.SubflowsMax)) +
		"  accepted " + itoa(int(l.AddAddrAccepted)) + " of " + itoa(int(l.AddAddrAcceptedMax)) +
		"  announced " + itoa(int(l.AddAddrSignal)) + " of " + itoa(int(l.AddAddrSignalMax))
	if c.PathManager == "userspace" {
		third = "userspace path manager"
	}
	if p := processes(c); p != "" {
		third = strings.TrimSpace(p) + "  " + third
	}
	return []string{first, second, d.paint(dim, third)}
}

// subflow shows the throughput and the round-trip time of a subflow.
func (d *detail) subflow(f *mptcp.Subflow, told *story.Story) []string {
	path := path1
	if _, i := told.Lane(f.Local, f.Remote); i >= 0 {
		path = path1 + style(i%paths)
	}
	r := d.series.Of(f)
	first := d.paint(path, d.left(ids(f.LocalID, f.RemoteID)+" "+present.Escape(f.Device), laneLabel)) + " " +
		d.paint(stateStyle(f.State), f.State.String()) + " " + flow(f.Local, f.Remote)
	if f.Initial {
		first += " initial"
	}
	first += backupText(f)
	if f.Backoff > 0 {
		first += d.paint(warn, " backoff "+itoa(int(f.Backoff)))
	}
	indent := strings.Repeat(" ", laneLabel+1)
	second := indent + d.bar(
		f.Share,
		10,
		path,
	) + right(
		percent(f.Share),
		5,
	) + " share  sent " + bytesText(
		f.BytesSent,
	) +
		"  received " + bytesText(
		f.BytesReceived,
	)
	if f.BytesRetransmitted > 0 {
		second += "  retransmitted " + bytesText(f.BytesRetransmitted)
	}
	if d.lines {
		return []string{
			first,
			second,
			indent + "out " + rateText(rate.Last(r.Out)) + "  in " + rateText(rate.Last(r.In)) +
				"  rtt " + millis(f.RTTMicros),
		}
	}
	width := max(4, min(20, (d.width-laneLabel-44)/3))
	third := indent + "out " + d.left(
		rateText(rate.Last(r.Out)),
		8,
	) + d.spark(
		r.Out,
		width,
		path,
	) + "  in " + d.left(
		rateText(rate.Last(r.In)),
		8,
	) +
		d.spark(
			r.In,
			width,
			path,
		) + "  rtt " + d.left(
		millis(f.RTTMicros),
		8,
	) + d.spark(
		r.RTT,
		width,
		path,
	)
	return []string{first, second, third}
}
