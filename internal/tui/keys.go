package tui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// key carries out a key.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	name := msg.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	if name == "ctrl+z" {
		return tea.Suspend
	}
	m.notice = ""
	switch {
	case m.confirm != nil:
		return m.answer(name)
	case m.prompt != nil:
		return m.edit(msg)
	case m.help:
		m.helpKey(name)
		return nil
	}
	if len(name) == 1 && name[0] >= '1' && name[0] <= '6' {
		return m.show(Screen(name[0] - '0'))
	}
	switch name {
	case "q":
		return tea.Quit
	case "?", "h", "f1":
		m.help, m.helpTop = true, window{}
	case "tab":
		return m.show(m.screen%Doctor + 1)
	case "shift+tab":
		return m.show((m.screen+Doctor-2)%Doctor + 1)
	case "/":
		m.prompt = newPrompt(promptFilter, m.filter.String())
	case "space", "p":
		m.freeze()
	case "f":
		m.toggleFollow()
	case "esc":
		m.back()
	default:
		if !m.move(name) {
			return m.screenKey(name)
		}
	}
	return nil
}

// show goes to another screen.
func (m *model) show(s Screen) tea.Cmd {
	if s == Connection && !m.follow {
		if m.chosen == (mptcp.Key{}) {
			m.arrangeList(true)
		}
		if m.chosen != (mptcp.Key{}) && m.chosen != m.subject {
			m.open(m.chosen)
		}
	}
	m.screen = s
	return m.consult(false)
}

// back undoes what narrows the view, or goes up.
func (m *model) back() {
	switch {
	case m.screen == Connection:
		m.screen = Connections
	case m.follow:
		m.follow = false
	case m.filter != nil:
		m.setFilter(nil)
	}
}

// move moves the cursor or the window, and reports whether the key does that.
func (m *model) move(name string) bool {
	page := max(1, m.bodyHeight()-2)
	step, ok := map[string]int{
		"up": -1, "k": -1, "down": 1, "j": 1, "pgup": -page, "pgdown": page, "ctrl+b": -page, "ctrl+f": page,
		"home": -1 << 30, "g": -1 << 30, "end": 1 << 30, "G": 1 << 30, "shift+g": 1 << 30,
	}[name]
	if !ok {
		return false
	}
	switch m.screen {
	case Connections:
		m.moveCursor(step, page)
	case Events:
		m.eventFrom = max(0, min(m.eventFrom-step, len(m.log.pick(m.upTo, m.followed()))-m.bodyHeight()))
	case Endpoints:
		w := &m.scrolls[Endpoints]
		w.cursor = max(0, min(w.cursor+step, len(endpointRows(m.state))-1))
	default:
		w := &m.scrolls[m.screen]
		w.top = max(0, min(w.top, 1<<20)+step)
	}
	return true
}

// moveCursor moves to another connection; a page is a number of rows.
func (m *model) moveCursor(step, page int) {
	if len(m.order.items) == 0 {
		return
	}
	to := m.list.cursor + step
	if step == page || step == -page {
		row := max(0, min(m.order.items[m.list.cursor].first+step, m.order.rows-1))
		if to = m.order.itemAt(row); to == m.list.cursor {
			to += step / page
		}
	}
	m.list.cursor = max(0, min(to, len(m.order.items)-1))
	m.chosen = m.order.items[m.list.cursor].key
}

// spans are the lengths of time that the timeline may show; 0: all.
var spans = [...]time.Duration{0, time.Hour, 10 * time.Minute, time.Minute, 10 * time.Second}

// screenKey carries out a key of the screen's own.
func (m *model) screenKey(name string) tea.Cmd {
	switch m.screen {
	case Connections:
		m.listKey(name)
	case Connection:
		m.zoom(name)
	case Endpoints:
		m.endpointKey(name)
	case Doctor:
		if name == "r" {
			return m.consult(true)
		}
	}
	return nil
}

func (m *model) listKey(name string) {
	switch name {
	case "enter":
		if m.chosen != (mptcp.Key{}) {
			m.follow = false
			m.open(m.chosen)
		}
		return
	case "s":
		m.listing.by = (m.listing.by + 1) % sortings
	case "r":
		m.listing.reverse = !m.listing.reverse
	case "t":
		m.listing.folded = !m.listing.folded
	case "e":
		m.listing.ended = !m.listing.ended
	default:
		return
	}
	m.arrangeList(true)
}

func (m *model) zoom(name string) {
	at := 0
	for i, s := range spans {
		if s == m.span {
			at = i
		}
	}
	switch name {
	case "+", "=":
		at = min(at+1, len(spans)-1)
	case "-":
		at = max(at-1, 0)
	case "0":
		at = 0
	}
	m.span = spans[at]
}

// endpointKey prepares a change of endpoints or limits.
func (m *model) endpointKey(name string) {
	if name != "a" && name != "d" && name != "l" {
		return
	}
	if m.config.Changes == nil {
		m.notice = "read-only: start top with --allow-changes to change endpoints and limits"
		return
	}
	switch name {
	case "a":
		m.prompt = newPrompt(promptEndpoint, "")
	case "l":
		m.prompt = newPrompt(promptLimits, m.limitsText())
	case "d":
		rows := endpointRows(m.state)
		if len(rows) == 0 {
			m.notice = "there is no endpoint"
			return
		}
		row := rows[max(0, min(m.scrolls[Endpoints].cursor, len(rows)-1))]
		m.propose([]string{"endpoint", "delete", "id", itoa(int(row.endpoint.ID))})
	}
}

// limitsText returns the limits as they are, in the words that set them.
func (m *model) limitsText() string {
	all := m.state.Namespaces()
	if len(all) == 0 {
		return ""
	}
	l := all[0].Limits
	return "subflows " + itoa(int(l.Subflows)) + " add_addr_accepted " + itoa(int(l.AddAddrAccepted))
}

// propose asks whether a change shall be made, and reports whether there is one.
func (m *model) propose(words []string) bool {
	change, err := m.config.Changes(words)
	if err != nil {
		m.notice = present.Escape(err.Error())
		return false
	}
	m.confirm = &change
	return true
}

// answer takes the answer to a confirmation: y makes the change, all else does not.
func (m *model) answer(name string) tea.Cmd {
	change := m.confirm
	m.confirm = nil
	if name != "y" && name != "Y" && name != "shift+y" {
		m.notice = "nothing changed"
		return nil
	}
	ctx := m.ctx
	return func() tea.Msg { return changed{change.Text, change.Make(ctx)} }
}

func (m *model) helpKey(name string) {
	switch name {
	case "up", "k":
		m.helpTop.top--
	case "down", "j":
		m.helpTop.top++
	case "pgup":
		m.helpTop.top -= m.bodyHeight()
	case "pgdown", "space":
		m.helpTop.top += m.bodyHeight()
	default:
		m.help = false
	}
}
