package monitor

import (
	"io"
	"iter"

	"mptcpctl/internal/device"
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Writer renders events in one of their forms.
type Writer interface {
	Append(b []byte, e *mptcp.Event) []byte
	AppendDelta(b []byte, d *track.Delta) []byte
}

// Form is a form of the event stream: what comes before, between and after
// the events.
type Form struct {
	Writer
	Open, Between, End, Shut string
}

// Printer prints a stream of events.
type Printer struct {
	Out     io.Writer
	Form    Form
	Devices *device.Names
	Expr    *filter.Expr
	Context *Context            // of the events that Run prints; nil without a filter
	Begun   func()              // called after the first events, which need not wait for it, or nil
	Note    func(engine string) // is told how the events come: at first, and when that changes

	buffer  []byte
	printed bool
	engine  string // that was noted last
}

// Run prints until the context ends, and then what has come by that time, and
// returns nil. It writes once a batch: what has been read is out before the next
// wait.
func (m *Printer) Run(batches iter.Seq2[[]mptcp.Event, error], queued func() iter.Seq2[[]mptcp.Event, error]) error {
	if err := m.write([]byte(m.Form.Open)); err != nil {
		return err
	}
	if err := m.printAll(batches); err != nil {
		return err
	}
	if queued != nil {
		if err := m.printAll(queued()); err != nil {
			return err
		}
	}
	return m.write([]byte(m.Form.Shut))
}

func (m *Printer) printAll(batches iter.Seq2[[]mptcp.Event, error]) error {
	for batch, err := range batches {
		if err != nil {
			return err
		}
		if err := m.print(batch); err != nil {
			return err
		}
		if m.Begun != nil {
			m.Begun()
			m.Begun = nil
		}
	}
	return nil
}

func (m *Printer) print(batch []mptcp.Event) error {
	m.buffer = m.buffer[:0]
	for i := range batch {
		m.Devices.Netns = batch[i].Netns
		if !m.wants(&batch[i]) {
			continue
		}
		if m.printed {
			m.buffer = append(m.buffer, m.Form.Between...)
		}
		m.printed = true
		m.buffer = m.Form.Append(m.buffer, &batch[i])
		m.buffer = append(m.buffer, m.Form.End...)
	}
	return m.write(m.buffer)
}

func (m *Printer) wants(e *mptcp.Event) bool {
	if m.Expr == nil {
		return true
	}
	return m.Expr.EventOf(e, m.Context.follow(e))
}

func (m *Printer) write(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_, err := m.Out.Write(b)
	return err
}
