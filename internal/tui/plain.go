package tui

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
)

// runPlain prints the screens as lines, for a screen reader, a pipe, or a terminal
// that can do no more. With input it prints for each line of it, else every
// interval.
func runPlain(ctx context.Context, c *Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := newPump(c)
	v := &plain{model: newModel(ctx, c, p.tracker.Look), out: c.Output, frames: make(chan frame)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(v.frames)
		p.run(ctx, func(f frame) {
			select {
			case v.frames <- f:
			case <-ctx.Done():
			}
		})
	}()
	err := v.run(ctx, c)
	cancel()
	for range v.frames { // a frame on its way
	}
	<-done
	return err
}

// plain is the view as lines.
type plain struct {
	model  *model
	out    io.Writer
	frames chan frame
}

func (v *plain) run(ctx context.Context, c *Config) error {
	var lines <-chan string
	var tick <-chan time.Time
	if c.Input != nil {
		lines = readLines(ctx, c.Input)
	} else {
		interval := c.Interval
		if interval <= 0 {
			interval = time.Second
		}
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		tick = ticker.C
	}
	printed := 0
	for begun := false; ; {
		now := false
		select {
		case <-ctx.Done():
			return nil
		case f, ok := <-v.frames:
			if !ok {
				return nil
			}
			v.update(f)
			if f.err != nil {
				return f.err
			}
			// The first picture is of the first dump, or of what there is instead.
			now = !begun && (len(f.state.Namespaces()) > 0 || f.ended)
			begun = begun || now
		case line, ok := <-lines:
			if !ok || !v.command(line) {
				return nil
			}
			now = begun
		case <-tick:
			now = begun
		}
		if !now {
			continue
		}
		if err := v.print(); err != nil {
			return err
		}
		if printed++; tick != nil && printed == c.Count {
			return nil
		}
	}
}

// update hands a message to the model, and carries out at once what it asks for.
func (v *plain) update(msg tea.Msg) {
	for msg != nil {
		_, cmd := v.model.Update(msg)
		msg = nil
		if cmd != nil {
			msg = cmd()
			if _, quit := msg.(tea.QuitMsg); quit {
				return
			}
		}
	}
}

// command carries out a line of input, and reports whether to go on.
func (v *plain) command(line string) bool {
	m := v.model
	m.notice = ""
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	m.help = false
	switch {
	case word == "q" || word == "quit":
		return false
	case word == "?" || word == "help":
		m.help = true
	case strings.HasPrefix(word, "/"):
		expr, err := filter.Parse(strings.TrimPrefix(strings.TrimSpace(line), "/"))
		if err != nil {
			m.notice = err.Error()
			break
		}
		m.setFilter(expr)
	case word == "s":
		v.update(tea.KeyPressMsg{Code: 's', Text: "s"})
	default:
		v.choose(word, rest)
	}
	m.arrange()
	return true
}

// choose goes to a screen; that of a connection may be asked for by its token.
func (v *plain) choose(word, rest string) {
	m := v.model
	screen, ok := ParseScreen(word)
	if !ok {
		if word != "" {
			m.notice = "unknown input: 1 to 6 select a screen, 3 TOKEN a connection, /FILTER a filter, ? help, q quit"
		}
		return
	}
	if screen == Connection && rest != "" {
		token, err := mptcp.ParseToken(strings.TrimSpace(rest))
		if err != nil {
			m.notice = err.Error()
			return
		}
		for t := range m.state.All() {
			if t.Key.Token == token {
				m.open(t.Key)
			}
		}
	}
	v.update(tea.KeyPressMsg{Code: rune('0' + screen), Text: itoa(int(screen))})
}

// print writes the screen.
func (v *plain) print() error {
	m := v.model
	m.arrange()
	var b strings.Builder
	title := "help"
	if !m.help {
		title = m.screen.String()
	}
	fmt.Fprintf(&b, "%s at %s\n", title, m.clock(m.now))
	if status := m.status(); status != "" {
		b.WriteString(status + "\n")
	}
	for _, line := range m.body() {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	b.WriteString("\n")
	_, err := io.WriteString(v.out, b.String())
	return err
}

// readLines returns the lines of the input. The goroutine that reads them ends
// with the input: a read cannot be called back.
func readLines(ctx context.Context, r io.Reader) <-chan string {
	lines := make(chan string)
	go func() {
		defer close(lines)
		s := bufio.NewScanner(r)
		for s.Scan() {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	return lines
}
