package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"mptcpctl/internal/present"
	"mptcpctl/internal/traffic"
)

// Lines of a page besides the body: the title, the tabs and the status above, the
// keys below.
const (
	headLines = 3
	footLines = 1
)

// bodyHeight is how many lines the body of a page has.
func (m *model) bodyHeight() int {
	if m.lines {
		return 1 << 30
	}
	return max(1, m.height-headLines-footLines)
}

// View implements [tea.Model].
func (m *model) View() tea.View {
	v := tea.NewView("")
	v.AltScreen = true
	if m.width <= 0 || m.height <= 0 {
		return v
	}
	lines, cursor := m.page()
	v.SetContent(strings.Join(lines, "\n"))
	if cursor >= 0 {
		v.Cursor = tea.NewCursor(cursor, len(lines)-1)
	}
	return v
}

// page returns the lines of the screen, and the column of the cursor in the last
// one, or -1.
func (m *model) page() (lines []string, cursor int) {
	body := m.body()
	height := m.bodyHeight()
	lines = append(lines, m.titleLine(), m.tabs(), m.clip(m.status(), m.width))
	for i := range height {
		if i < len(body) {
			lines = append(lines, m.clip(body[i], m.width))
		} else {
			lines = append(lines, "")
		}
	}
	foot, cursor := m.foot()
	lines = append(lines, foot)
	if over := len(lines) - m.height; over > 0 { // a terminal of a few lines
		lines = lines[over:]
	}
	return lines, cursor
}

func (m *model) titleLine() string {
	left := " mptcpctl top"
	if m.config.Title != "" {
		left += "  " + present.Escape(m.config.Title)
	}
	right := m.clock(m.now) + " "
	if m.now.IsZero() {
		right = ""
	}
	return m.paint(bar, m.left(spread(left, right, m.width), m.width))
}

// tabs shows the screens with their keys.
func (m *model) tabs() string {
	var b strings.Builder
	for s := Overview; s <= Doctor; s++ {
		name := itoa(int(s)) + " " + s.String()
		if s == m.screen && !m.help {
			b.WriteString(m.paint(bold, "["+name+"]"))
		} else {
			b.WriteString(m.paint(dim, " "+name+" "))
		}
	}
	return m.clip(b.String(), m.width)
}

// foot is the last line: a question, a line to type, or the keys.
func (m *model) foot() (line string, cursor int) {
	switch {
	case m.confirm != nil:
		return m.paint(warn, m.clip("mptcpctl "+present.Escape(m.confirm.Text)+": do it? y/n", m.width)), -1
	case m.prompt != nil:
		line, cursor = m.prompt.draw(m.width)
		return line, cursor
	case m.help:
		return m.keys("any key back", "up/down scroll"), -1
	}
	hints := []string{"q quit", "? help", "/ filter", "space freeze", "f follow"}
	switch m.screen {
	case Connections:
		hints = append(hints, "enter open", "s sort", "r reverse", "t fold", "e ended")
	case Connection:
		hints = append(hints, "+- zoom", "esc back")
	case Endpoints:
		if m.config.Changes != nil {
			hints = append(hints, "a add", "d delete", "l limits")
		}
	case Doctor:
		hints = append(hints, "r look again")
	}
	return m.keys(hints...), -1
}

// keys shows keys with what they do.
func (m *model) keys(hints ...string) string {
	return m.paint(bar, m.left(" "+strings.Join(hints, "  "), m.width))
}

// body returns the lines of the screen that fit.
func (m *model) body() []string {
	height := m.bodyHeight()
	if m.help {
		return m.helpTop.cut(helpLines(&m.look), height)
	}
	switch m.screen {
	case Overview:
		return m.overview(height)
	case Connections:
		c := connections{
			look: &m.look, state: m.state, order: &m.order, watch: m.watch.by, cursor: m.list.cursor, top: m.list.top,
			sorted: m.listing.by, back: m.listing.reverse, width: m.width, height: height,
		}
		if m.follow {
			c.follow = m.subject
		}
		return c.render()
	case Connection:
		return m.connection(height)
	case Events:
		v := events{
			eventLines: eventLines{&m.look}, picked: m.log.pick(m.upTo, m.followed()), noEvent: m.config.NoEvents,
			from: m.eventFrom, width: m.width, height: height,
		}
		return v.render()
	case Endpoints:
		return m.endpoints(height)
	}
	v := findings{&m.look, &m.diagnosis}
	return m.scrolls[Doctor].cut(v.render(), height)
}

func (m *model) overview(height int) []string {
	o := overview{
		look: &m.look, state: m.state, verdict: m.diagnosis.verdict(&m.look), pulse: m.pulse.perSecond,
		recent: m.log.pick(m.upTo, m.followed()), noEvent: m.config.NoEvents, width: m.width, height: height,
		carried: m.carried(),
	}
	if m.lines {
		o.recent = o.recent[max(0, len(o.recent)-10):]
	}
	return m.scrolls[Overview].cut(o.render(), height)
}

// carried returns what the devices carry; while the view is frozen, what they did then.
func (m *model) carried() *traffic.Map {
	if m.frozen.IsZero() || m.drawn == nil {
		m.drawn = m.meter.Map(traffic.ByAddress)
	}
	return m.drawn
}

func (m *model) connection(height int) []string {
	s := m.tell()
	if s == nil {
		return []string{"", "  no connection is selected: press enter on screen 2"}
	}
	d := detail{look: &m.look, facts: s, series: m.watch.by[m.subject], span: m.span, width: m.width}
	return m.scrolls[Connection].cut(d.render(), height)
}

func (m *model) endpoints(height int) []string {
	w := &m.scrolls[Endpoints]
	v := endpoints{look: &m.look, state: m.state, usage: m.usages.by, cursor: w.cursor, change: m.config.Changes != nil}
	lines := v.render()
	for i, line := range lines { // keep the endpoint under the cursor in sight
		if strings.HasPrefix(line, m.sign("▸ ", "> ")) {
			w.top = max(min(w.top, i), i-height+1)
		}
	}
	return w.cut(lines, height)
}

// unpainted returns the text without its styles.
func unpainted(text string) string { return ansi.Strip(text) }
