package tui

import (
	"fmt"
	"runtime/debug"

	tea "charm.land/bubbletea/v2"
)

// panicError is a panic of a goroutine, with its stack.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// guarded calls f and returns a panic as an error.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}

// safe is the model with its panics turned into an end of the view: the terminal is
// restored first, and then the panic is told of.
type safe struct{ *model }

// failed is the panic of a command.
type failed struct{ err error }

// Update implements [tea.Model].
func (s safe) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if f, ok := msg.(failed); ok {
		s.err = f.err
	}
	if s.err != nil {
		return s, tea.Quit
	}
	var cmd tea.Cmd
	if err := guarded(func() error { _, cmd = s.model.Update(msg); return nil }); err != nil {
		s.err = err
		return s, tea.Quit
	}
	if cmd == nil {
		return s, nil
	}
	return s, func() (msg tea.Msg) {
		if err := guarded(func() error { msg = cmd(); return nil }); err != nil {
			return failed{err}
		}
		return msg
	}
}

// View implements [tea.Model]. A panic in it ends the view with the next message,
// which is a frame at the latest.
func (s safe) View() tea.View {
	var v tea.View
	if err := guarded(func() error { v = s.model.View(); return nil }); err != nil {
		s.err = err
		v.AltScreen = true
	}
	return v
}
