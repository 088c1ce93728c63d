package tui

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/rate"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// TestPlainOnce prints every screen once, as a pipe has it.
func TestPlainOnce(t *testing.T) {
	for screen := Overview; screen <= Doctor; screen++ {
		var out bytes.Buffer
		err := Run(t.Context(), &Config{
			Source: &fakeSource{},
			Plain:  true,
			Count:  1,
			Screen: screen,
			Output: &out,
			Zone:   time.UTC,
			Doctor: answering(report()),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := out.String()
		for _, r := range got {
			if r != '\n' && (r < 0x20 || r > 0x7e) {
				t.Errorf("%s has the character %q:\n%s", screen, r, got)
			}
		}
		if want := map[Screen]string{
			Overview: "connections  2", Connections: "0000beef established", Connection: "63c070d2 established client",
			Events: "no event yet", Endpoints: "0 of 2 connections", Doctor: "fail D22",
		}[screen]; !strings.HasPrefix(got, screen.String()+" at ") || !strings.Contains(got, want) {
			t.Errorf("%s prints, without %q:\n%s", screen, want, got)
		}
	}
}

// TestPlainListsAll: what does not fit on a screen is printed all the same.
func TestPlainListsAll(t *testing.T) {
	s := newStage(t, &Config{Plain: true})
	s.show(0, crowd(100))
	s.press("2")
	if n := strings.Count(strings.Join(s.body(), "\n"), "established client"); n != 100 {
		t.Errorf("%d of 100 connections are listed", n)
	}
}

func TestPlainEveryInterval(t *testing.T) {
	var out bytes.Buffer
	err := Run(
		t.Context(),
		&Config{Source: &fakeSource{}, Plain: true, Count: 3, Interval: time.Millisecond, Output: &out},
	)
	if n := strings.Count(out.String(), "overview at "); err != nil || n != 3 {
		t.Errorf("%d pictures, %v", n, err)
	}
}

func TestPlainEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, &Config{Source: &fakeSource{}, Plain: true, Output: io.Discard}); err != nil {
		t.Error(err)
	}
}

func TestPlainTellsOfErrors(t *testing.T) {
	err := Run(t.Context(), &Config{Source: &fakeSource{fail: io.ErrUnexpectedEOF}, Plain: true, Output: io.Discard})
	if err == nil || !strings.Contains(err.Error(), io.ErrUnexpectedEOF.Error()) {
		t.Errorf("a source that fails gives %v", err)
	}
}

// TestPlainCommands types lines, and looks at what each prints.
func TestPlainCommands(t *testing.T) {
	typing, typed := io.Pipe()
	reading, printed := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Run(
			t.Context(),
			&Config{Source: &fakeSource{}, Plain: true, Input: typing, Output: printed, Zone: time.UTC},
		)
		printed.Close()
		done <- err
	}()
	picture := func() string { // each one is one write
		b := make([]byte, 1<<20)
		n, err := reading.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	if got := picture(); !strings.HasPrefix(got, "overview at ") {
		t.Errorf("it begins with:\n%s", got)
	}
	for _, step := range []struct{ line, want string }{
		{"2", "connections at "}, {"connections", "connections at "},
		{"3 beef", "0000beef established"}, {"3 xyz", "xyz"},
		{"/token 63c070d2", "filter: token 63c070d2"}, {"2", "63c070d2"}, {"/oops(", "oops"},
		{"/", "connections at "}, {"5", "add_addr_accepted"},
		{"", "endpoints at "}, {"?", "Filter: joined by"}, {"s", "endpoints at "},
		{"nonsense", "unknown input"}, {"6", "not available here"},
	} {
		if _, err := io.WriteString(typed, step.line+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := picture(); !strings.Contains(got, step.want) {
			t.Errorf("%q prints, without %q:\n%s", step.line, step.want, got)
		}
	}
	if _, err := io.WriteString(typed, "q\n"); err != nil {
		t.Fatal(err)
	}
	if err := waitEnd(t, done); err != nil {
		t.Error(err)
	}
}

func TestPulse(t *testing.T) {
	p := &pulse{}
	at := func(second time.Duration, kind mptcp.EventType, lost uint64) track.Delta {
		return track.Delta{Event: mptcp.Event{Type: kind, Lost: lost, Time: noon.Add(second * time.Second)}}
	}
	silent := at(1, 0, 0)
	silent.Kind = track.KindSubflowSilent
	p.add(
		[]track.Delta{
			at(0, mptcp.EventCreated, 0),
			at(0, mptcp.EventCreated, 0),
			silent,
			at(1, mptcp.EventClosed, 0),
			at(3, mptcp.EventLost, 40),
		},
	)
	p.advance(noon.Add(5 * time.Second))
	p.add([]track.Delta{at(2, mptcp.EventClosed, 0)}) // late
	p.advance(noon.Add(6 * time.Second))
	if want := []float64{2, 1, 0, 40, 0, 1}; !slices.Equal(p.perSecond, want) {
		t.Errorf("rates %v, want %v", p.perSecond, want)
	}
	p.advance(noon.Add(time.Hour))
	if n := len(p.perSecond); n != rate.Samples || rate.Last(p.perSecond) != 0 {
		t.Errorf("after an hour there are %d values, the last %v", n, rate.Last(p.perSecond))
	}
}

func TestQuantities(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 999: "999B", 1000: "1.0kB", 9949: "9.9kB", 9951: "10kB", 999_400: "999kB", 999_600: "1.0MB", 1 << 63: "9.2EB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m01s", 3 * time.Hour: "3h00m", 49 * time.Hour: "2d01h"} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	l := &look{}
	for share, want := range map[float64]string{0: "░░░░", 0.5: "██░░", 1: "████", 0.03125: "▏░░░", 7: "████", -1: "░░░░"} {
		if got := l.bar(share, 4, plainText); got != want {
			t.Errorf("the bar of %v is %q, want %q", share, got, want)
		}
	}
	if got := l.spark([]float64{9, 0, 1, 2, 4}, 4, plainText); got != "▁▄▅█" {
		t.Errorf("sparkline %q", got)
	}
}
