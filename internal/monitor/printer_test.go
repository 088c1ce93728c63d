package monitor

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/device"
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// tokens writes an event as its token.
type tokens struct{}

func (tokens) Append(b []byte, e *mptcp.Event) []byte      { return append(b, e.Token.String()...) }
func (tokens) AppendDelta(b []byte, d *track.Delta) []byte { return append(b, d.Kind.String()...) }

// of yields batches, and then the error if there is one.
func of(failure error, batches ...[]mptcp.Event) iter.Seq2[[]mptcp.Event, error] {
	return func(yield func([]mptcp.Event, error) bool) {
		for _, batch := range batches {
			if !yield(batch, nil) {
				return
			}
		}
		if failure != nil {
			yield(nil, failure)
		}
	}
}

// writes counts what is written at once.
type writes struct{ parts []string }

func (w *writes) Write(b []byte) (int, error) {
	w.parts = append(w.parts, string(b))
	return len(b), nil
}

func printer(out *writes) *Printer {
	return &Printer{
		Out:     out,
		Devices: device.NewNames(),
		Form:    Form{Writer: tokens{}, Open: "[", Between: ",", End: "!", Shut: "]"},
	}
}

// What was read together is written together, and what has come by the end too.
func TestPrinterWritesOncePerBatch(t *testing.T) {
	out := &writes{}
	p := printer(out)
	events := []mptcp.Event{*created(1), *created(2), *created(3), *created(4)}
	queued := func() iter.Seq2[[]mptcp.Event, error] { return of(nil, events[3:]) }
	if err := p.Run(of(nil, events[:2], events[2:3]), queued); err != nil {
		t.Fatal(err)
	}
	want := []string{"[", "00000001!,00000002!", ",00000003!", ",00000004!", "]"}
	if !slices.Equal(out.parts, want) {
		t.Errorf("wrote %q, want %q", out.parts, want)
	}
}

// A failed stream ends the output where it is: an array is not shut as if it were whole.
func TestPrinterPassesErrorsOn(t *testing.T) {
	out := &writes{}
	broken := errors.New("broken")
	if err := printer(out).Run(of(broken, []mptcp.Event{*created(1)}), nil); !errors.Is(err, broken) {
		t.Errorf("returned %v", err)
	}
	if got := strings.Join(out.parts, ""); got != "[00000001!" {
		t.Errorf("wrote %q", got)
	}
}

// An event that tells nothing but a token is judged by its connection.
func TestPrinterJudgesByTheConnection(t *testing.T) {
	expr, err := filter.Parse("sport", "7")
	if err != nil {
		t.Fatal(err)
	}
	out := &writes{}
	p := printer(out)
	p.Expr, p.Context = expr, NewContext(t.Context(), nil)
	closed := func(token mptcp.Token) mptcp.Event {
		return mptcp.Event{Type: mptcp.EventClosed, Fields: mptcp.FieldToken, Token: token}
	}
	if err := p.Run(of(nil, []mptcp.Event{*created(7), *created(8), closed(8), closed(7), closed(7)}), nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(out.parts, ""); got != "[00000007!,00000007!]" {
		t.Errorf("wrote %q", got)
	}
}

// What cannot match needs not be sent, unless it tells which connection a token is.
func TestNeededEvents(t *testing.T) {
	for words, listener := range map[string]bool{"dst :443": false, "event LISTENER_CREATED": true, "event CLOSED": false} {
		expr, err := filter.Parse(words)
		if err != nil {
			t.Fatal(err)
		}
		types := NeededEvents(expr)
		if slices.Contains(types, mptcp.EventListenerCreated) != listener ||
			!slices.Contains(types, mptcp.EventCreated) {
			t.Errorf("%s: %v", words, types)
		}
	}
}

// Where the engine changes it is noted once, and not where events come from a recording.
func TestEngineIsNoted(t *testing.T) {
	var noted []string
	p := printer(&writes{})
	p.Note = func(engine string) { noted = append(noted, engine) }
	engine := "netlink"
	stream := &Stream{Engine: func() string { return engine }}
	for range 3 {
		p.noteEngine(stream)
	}
	engine = "ring"
	p.noteEngine(stream)
	p.noteEngine(&Stream{})
	if want := []string{"netlink", "ring"}; !slices.Equal(noted, want) {
		t.Errorf("noted %v, want %v", noted, want)
	}
}
