package tui

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"mptcpctl/internal/filter"
)

// promptKind tells what a line is asked for.
type promptKind uint8

const (
	promptFilter promptKind = iota
	promptEndpoint
	promptLimits
)

var promptLabels = [...]string{"/", "endpoint add ", "limits set "}

// prompt is a line that the user types.
type prompt struct {
	kind promptKind
	text []rune
	at   int // the cursor
}

func newPrompt(kind promptKind, text string) *prompt {
	runes := []rune(text)
	return &prompt{kind, runes, len(runes)}
}

// edit carries out a key while a line is typed.
func (m *model) edit(msg tea.KeyPressMsg) tea.Cmd {
	switch msg.String() {
	case "esc":
		m.prompt = nil
	case "enter":
		m.enter()
	default:
		m.prompt.key(msg)
	}
	return nil
}

// enter takes the line. Where it is wrong, it stays to be mended.
func (m *model) enter() {
	words := strings.Fields(string(m.prompt.text))
	switch m.prompt.kind {
	case promptFilter:
		expr, err := filter.Parse(string(m.prompt.text))
		if err != nil {
			m.notice = err.Error()
			return
		}
		m.setFilter(expr)
	case promptEndpoint:
		if !m.propose(append([]string{"endpoint", "add"}, words...)) {
			return
		}
	case promptLimits:
		if !m.propose(append([]string{"limits", "set"}, words...)) {
			return
		}
	}
	m.prompt = nil
}

// key carries out an editing key.
func (p *prompt) key(msg tea.KeyPressMsg) {
	switch msg.String() {
	case "left", "ctrl+b":
		p.at = max(0, p.at-1)
	case "right", "ctrl+f":
		p.at = min(len(p.text), p.at+1)
	case "home", "ctrl+a":
		p.at = 0
	case "end", "ctrl+e":
		p.at = len(p.text)
	case "backspace":
		p.remove(p.at - 1)
	case "delete", "ctrl+d":
		p.remove(p.at)
	case "ctrl+u":
		p.text, p.at = p.text[p.at:], 0
	case "ctrl+k":
		p.text = p.text[:p.at]
	case "ctrl+w":
		start := p.at
		for start > 0 && p.text[start-1] == ' ' {
			start--
		}
		for start > 0 && p.text[start-1] != ' ' {
			start--
		}
		p.text, p.at = slices.Delete(p.text, start, p.at), start
	default:
		p.insert(msg.Text)
	}
}

// longest is how long a line may get.
const longest = 1000

// insert puts text in at the cursor, without what a terminal could act on.
func (p *prompt) insert(text string) {
	for _, r := range text {
		if unicode.IsPrint(r) && len(p.text) < longest {
			p.text = slices.Insert(p.text, p.at, r)
			p.at++
		}
	}
}

func (p *prompt) remove(i int) {
	if i >= 0 && i < len(p.text) {
		p.text = slices.Delete(p.text, i, i+1)
		p.at = min(p.at, max(i, 0))
	}
}

// draw returns the line and the column of the cursor. Of a line that is too long
// the part at the cursor is shown.
func (p *prompt) draw(width int) (line string, column int) {
	label := promptLabels[p.kind]
	room := max(1, width-len(label)-1)
	start := max(0, p.at-room)
	shown := p.text[start:min(len(p.text), start+room)]
	return label + string(shown), len(label) + p.at - start
}
