package tui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/internal/present"
	"mptcpctl/internal/rate"
	"mptcpctl/internal/traffic"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// overview is the first screen.
type overview struct {
	*look
	state   *track.State
	verdict []string // of the doctor, or why there is none
	pulse   []float64
	recent  []*track.Delta // oldest first
	noEvent string         // why there are no events; "": there are
	carried *traffic.Map   // nil: nothing is known yet
	width   int
	height  int
}

// render returns the screen's lines.
func (o *overview) render() []string {
	lines := append([]string{}, o.verdict...)
	lines = append(lines, "")
	lines = append(lines, o.totals()...)
	if devices := o.devices(); len(devices) > 0 {
		lines = append(lines, "")
		lines = append(lines, devices...)
		lines = append(lines, o.busiest()...)
	}
	lines = append(lines, "")
	lines = append(lines, o.events()...)
	if trouble := o.trouble(); len(trouble) > 0 {
		lines = append(lines, "", o.paint(bold, "Counters that indicate trouble"))
		lines = append(lines, trouble...)
	}
	room := o.height - len(lines) - 2
	if room > 0 && len(o.recent) > 0 {
		lines = append(lines, "", o.paint(bold, "Last events"))
		e := eventLines{look: o.look}
		for _, d := range o.recent[max(0, len(o.recent)-room):] {
			lines = append(lines, e.line(d))
		}
	}
	return lines
}

func (o *overview) field(name, value string) string { return o.left(name, 13) + value }

// totals counts connections, subflows, endpoints and listeners.
func (o *overview) totals() []string {
	n := o.state.Counts()
	fallbacks := "0"
	if n.Fallbacks > 0 {
		share := percent(float64(n.Fallbacks) / float64(n.Connections))
		fallbacks = o.paint(bad, fmt.Sprintf("%d", n.Fallbacks)) + " of the connections use plain TCP (" + share + ")"
	}
	endpoints, listeners := 0, 0
	for _, ns := range o.state.Namespaces() {
		endpoints += len(ns.Endpoints)
		listeners += len(ns.Listeners)
	}
	ended := map[track.How]int{}
	total := 0
	for e := range o.state.Ended() {
		ended[e.How]++
		total++
	}
	var hows []string
	for _, how := range []track.How{track.HowClosed, track.HowAborted, track.HowReplaced, track.HowUnknown} {
		if ended[how] > 0 {
			hows = append(hows, fmt.Sprintf("%s %d", how, ended[how]))
		}
	}
	lines := []string{
		o.field("connections", fmt.Sprintf("%-7d%s", n.Connections, o.connectionStates(&n))),
		o.field("fallbacks", fallbacks),
		o.field("subflows", fmt.Sprintf("%-7d%s", n.Subflows, o.subflowStates(&n))),
		o.field("endpoints", fmt.Sprintf("%-7d%slisteners %d", endpoints, o.limits(), listeners)),
	}
	if total > 0 {
		lines = append(lines, o.field("ended", fmt.Sprintf("%-7d%s", total, strings.Join(hows, "  "))))
	}
	return lines
}

// Columns of the overview's tables.
const (
	rateColumn = 10
	mostBusy   = 3 // connections
)

// rate returns bytes a second, "-" where none is known yet.
func (o *overview) rate(perSecond uint64) string {
	if o.carried.Window == 0 {
		return "-"
	}
	return rateText(float64(perSecond))
}

// devices has a line for each device: what it carries, its subflows, its round-trip times.
func (o *overview) devices() []string {
	if o.carried == nil || len(o.carried.Devices) == 0 {
		return nil
	}
	heading := o.left("DEVICE", 13)
	for _, name := range []string{"OUT", "IN", "SUBFLOWS", "RTT"} {
		heading += right(name, rateColumn)
	}
	heading += "  ADDRESSES"
	lines := []string{o.paint(bold, heading)}
	most := len(o.carried.Devices)
	if o.height < 30 { // what follows is not pushed off a small screen
		most = min(most, 5)
	}
	for i := range o.carried.Devices[:most] {
		d := &o.carried.Devices[i]
		name, state := present.Escape(d.Name), ""
		switch {
		case name == "":
			name = "-"
		case d.Known && !d.Up:
			state = "down "
		case d.Known && !d.Carrier:
			state = "no carrier "
		}
		rtt := "-"
		if d.RTTMedian > 0 {
			rtt = millis(d.RTTMedian)
		}
		s := plainText
		if d.Color >= 0 {
			s = path1 + style(d.Color%paths)
		}
		lines = append(lines, o.paint(s, o.left(name, 13))+right(o.rate(d.Sent), rateColumn)+
			right(o.rate(d.Received), rateColumn)+right(itoa(d.Subflows), rateColumn)+right(rtt, rateColumn)+"  "+
			o.paint(warn, state)+addressTexts(d.Addresses))
	}
	if n := len(o.carried.Devices) - most; n > 0 {
		lines = append(lines, o.paint(dim, count(n, "more device", "more devices")))
	}
	return lines
}

// addressTexts names the addresses of a device, with the ids of their endpoints.
func addressTexts(list []traffic.Address) string {
	var parts []string
	for _, a := range list {
		text := a.Address.String()
		if a.Endpoint > 0 {
			text += " id " + itoa(a.Endpoint)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}

// busiest has a line for each of the connections that move most.
func (o *overview) busiest() []string {
	var lines []string
	for _, b := range o.carried.Busiest {
		c, ok := o.state.Lookup(b.Key)
		if !ok || len(lines) == mostBusy {
			continue
		}
		lines = append(lines, o.left(c.Token.String(), 13)+right(o.rate(b.Sent), rateColumn)+
			right(o.rate(b.Received), rateColumn)+right(itoa(len(c.Subflows)), rateColumn)+"  "+
			flow(c.Local, c.Remote)+processes(&c))
	}
	if len(lines) == 0 {
		return nil
	}
	return append([]string{o.paint(bold, "BUSIEST")}, lines...)
}

func (o *overview) connectionStates(n *track.Counts) string {
	var parts []string
	for s, number := range n.ByState {
		if number > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", mptcp.SocketState(s), number))
		}
	}
	for _, s := range []mptcp.Side{mptcp.SideClient, mptcp.SideServer} {
		if n.BySide[s] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s, n.BySide[s]))
		}
	}
	return strings.Join(parts, "  ")
}

func (o *overview) subflowStates(n *track.Counts) string {
	var parts []string
	for s, number := range n.SubflowsByState {
		if number > 0 {
			state := mptcp.SubflowState(s)
			parts = append(parts, o.paint(stateStyle(state), fmt.Sprintf("%s %d", state, number)))
		}
	}
	return strings.Join(parts, "  ")
}

// limits shows those of the only namespace; with several the screen of endpoints
// has them.
func (o *overview) limits() string {
	all := o.state.Namespaces()
	if len(all) != 1 {
		return ""
	}
	l := all[0].Limits
	return fmt.Sprintf("limits: subflows %d  add_addr_accepted %d  ", l.Subflows, l.AddAddrAccepted)
}

// events shows how many there were and how fast they come.
func (o *overview) events() []string {
	if o.noEvent != "" {
		return []string{
			o.field("events", o.paint(warn, o.noEvent)), o.field("", "the state is read again every second"),
		}
	}
	lost := fmt.Sprintf("lost %d", o.state.Lost())
	if o.state.Lost() > 0 {
		lost = o.paint(bad, lost)
	}
	line := fmt.Sprintf("%-7d%.0f/s  %s  resyncs %d", o.state.Events(), rate.Last(o.pulse), lost, o.state.Generation())
	lines := []string{o.field("events", line)}
	if width := min(60, o.width-14); width > 10 && !o.lines {
		lines = append(lines, o.field("", o.spark(o.pulse, width, path1)+o.paint(dim, " "+itoa(width)+"s")))
	}
	return lines
}

// trouble lists the counters that tell of trouble, at most four.
func (o *overview) trouble() []string {
	var lines []string
	for _, ns := range o.state.Namespaces() {
		values := o.state.Counters(ns.Netns)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			d, known := counters.Describe(name)
			if !known || !d.Trouble || values[name] == 0 {
				continue
			}
			if len(lines) == 4 {
				return append(lines, o.paint(dim, "more: mptcpctl counters"))
			}
			lines = append(
				lines,
				fmt.Sprintf(
					"%s %s", o.left(fmt.Sprintf("%s %d", present.Escape(name), values[name]), 28),
					o.paint(dim, d.Meaning),
				),
			)
		}
	}
	return lines
}
