package serve

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mptcpctl/internal/device"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/monitor"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source/recording"
)

// TestOneWriterOfEvents: the page's stream and `monitor -d -j` give the same objects of
// a recording, byte for byte but for the instance.
func TestOneWriterOfEvents(t *testing.T) {
	names, err := filepath.Glob("../source/recording/testdata/6.18/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	derived := 0
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			want := printed(t, name, "")
			derived += strings.Count(strings.Join(want, ""), `"derived":true`)
			got := streamed(t, name, "", len(want))
			for i := range want {
				if got[i]+"\n" != want[i] {
					t.Errorf("event %d:\nthe page has\n%s\nmonitor has\n%s", i+1, got[i], want[i])
				}
			}
		})
	}
	if derived < 10 {
		t.Errorf("the recordings have %d derived events", derived)
	}
}

// TestOneJudgeOfEvents: with a filter, too, both give the same events of a recording. They
// are judged by the connection as it was: it has one subflow when it is created.
func TestOneJudgeOfEvents(t *testing.T) {
	names, err := filepath.Glob("../source/recording/testdata/6.18/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, filter := range []string{"subflows > 1", "subflows = 1", "not subflows > 1 and side client"} {
		found := 0
		for _, name := range names {
			want := printed(t, name, filter)
			found += len(want)
			got := streamed(t, name, filter, len(want))
			for i := range want {
				if got[i]+"\n" != want[i] {
					t.Errorf("%s: %s: event %d:\nthe page has\n%s\nmonitor has\n%s", name, filter, i+1, got[i], want[i])
				}
				if filter == "subflows > 1" && strings.HasPrefix(want[i], `{"event":"CREATED"`) {
					t.Errorf("%s: a new connection has one subflow: %s", name, want[i])
				}
			}
		}
		if found == 0 {
			t.Errorf("no event matches %q", filter)
		}
	}
}

// open opens a recording.
func open(t *testing.T, name string) *recording.Recording {
	t.Helper()
	recording, err := recording.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	return recording
}

// printed returns the lines of `monitor -d -j` with a filter, or "".
func printed(t *testing.T, name, words string) []string {
	t.Helper()
	expr, err := filter.Parse(words)
	if err != nil {
		t.Fatal(err)
	}
	stream := monitor.Replay(open(t, name))
	devices := device.NewNames()
	devices.Find = stream.Device
	var out bytes.Buffer
	p := &monitor.Printer{
		Out: &out, Devices: devices, Form: monitor.Form{Writer: &present.EventJSON{Device: devices.Name}, End: "\n"},
		Expr: expr.WithDevices(devices.Name),
	}
	if err := p.Derive(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	return slices.Collect(strings.Lines(out.String()))
}

// streamed returns so many events of the page's stream with a filter, or "", without their
// instances.
func streamed(t *testing.T, name, words string, n int) []string {
	t.Helper()
	s := newService(OfRecording(open(t, name), "recording"), &Config{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var running sync.WaitGroup
	follow := s.following(ctx, s.server.Run)
	running.Go(func() { _ = follow(ctx) }) // what it lacks is missed below
	running.Go(func() { _ = s.track(ctx) })
	t.Cleanup(running.Wait)
	page := httptest.NewServer(s.server.Handler())
	t.Cleanup(page.Close)
	t.Cleanup(cancel)
	asked := url.Values{"after": {"0"}, "filter": {words}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page.URL+"/api/v1/events?"+asked.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := page.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	instance := regexp.MustCompile(`,"instance":\d+`)
	var got []string
	for lines := bufio.NewScanner(answer.Body); len(got) < n && lines.Scan(); {
		if data, ok := strings.CutPrefix(lines.Text(), `data: {"event"`); ok {
			got = append(got, instance.ReplaceAllString(`{"event"`+data, ""))
		}
	}
	if len(got) < n {
		t.Fatalf("%d events of %d", len(got), n)
	}
	return got
}
