package cli

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
)

// asked fetches from the server in the host's namespace and decodes the answer.
func asked(t *testing.T, ns *lab.Namespace, path string, into any) bool {
	t.Helper()
	text, status, _ := cutLast(fetch(t, ns, "http://127.0.0.1:9099"+path))
	return status == "200" && json.Unmarshal([]byte(text), into) == nil
}

// cutLast cuts at the last line break.
func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// TestServeReplay: the server shows what a recording holds at its end, with its times.
func TestServeReplay(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	file, err := filepath.Abs(kernelFixture(t, "redhat"))
	if err != nil {
		t.Fatal(err)
	}
	p := started(t, ns, tool("--replay", file, "serve"))
	out, _, _ := runHere("--replay", file, "-j", "connection")
	var want []struct{ Token string }
	if err := json.Unmarshal([]byte(out), &want); err != nil || len(want) == 0 {
		t.Fatal(err, out)
	}
	out, _, _ = runHere("--replay", file, "-j", "monitor")
	events := strings.Split(strings.TrimSpace(out), "\n")
	var last struct{ Time time.Time }
	if err := json.Unmarshal([]byte(events[len(events)-1]), &last); err != nil {
		t.Fatal(err)
	}
	var summary struct {
		Replay              string
		Connections, Events int
		Time                time.Time
	}
	await.True(t, "the end of the recording", func() bool {
		return asked(t, ns, "/api/v1/summary", &summary) && summary.Events == len(events) &&
			summary.Connections == len(want)
	})
	if age := summary.Time.Sub(last.Time).Abs(); summary.Replay != "redhat.pcapng" || age > time.Minute {
		t.Errorf("summary %+v, %v from the last event", summary, age)
	}
	var details struct {
		Replay  string
		Time    time.Time
		History []struct {
			Event string
			Time  time.Time
		}
		Samples struct{ Points []struct{ T int64 } }
	}
	if !asked(t, ns, "/api/v1/connections/-/"+want[0].Token, &details) || len(details.History) == 0 {
		t.Fatalf("details %+v", details)
	}
	for _, h := range details.History {
		if h.Time.Sub(last.Time).Abs() > time.Minute {
			t.Errorf("%s at %v, the last event at %v", h.Event, h.Time, last.Time)
		}
	}
	for _, p := range details.Samples.Points {
		if at := time.UnixMilli(p.T); at.Sub(last.Time).Abs() > time.Minute {
			t.Errorf("a sample at %v, the last event at %v", at, last.Time)
		}
	}
	if details.Replay == "" || len(details.Samples.Points) == 0 {
		t.Errorf("replay %q, %d samples", details.Replay, len(details.Samples.Points))
	}
	for path, want := range map[string]string{
		"/api/v1/findings": `"verdict":`, "/api/v1/endpoints": `"path_manager":"kernel"`, "/metrics": `mptcp_connections{netns="",side="client"`, "/readyz": "",
	} {
		if got := fetch(t, ns, "http://127.0.0.1:9099"+path); !strings.Contains(got, want) ||
			!strings.HasSuffix(got, "200") {
			t.Errorf("%s: %s", path, got)
		}
	}
	stopped(t, p)
}

// kernelFixture returns a recording of one of the lab's networks.
func kernelFixture(t *testing.T, topology string) string {
	t.Helper()
	for _, name := range fixtures(t) {
		if filepath.Base(name) == topology+".pcapng" {
			return name
		}
	}
	t.Fatalf("no recording of %s", topology)
	return ""
}

// TestServeAllNamespaces: with -a the server shows connections, events and metrics of
// a namespace that came after it was started, and had given up what it does not need.
func TestServeAllNamespaces(t *testing.T) {
	own, other := loopback(t), loopback(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	p := started(t, own, tool("-a", "serve"))
	await.True(
		t,
		"the server",
		func() bool { return strings.HasSuffix(fetch(t, own, "http://127.0.0.1:9099/readyz"), "200") },
	)
	hold, err := other.StartProcess(ctx, lab.ProcessConfig{Args: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close() })
	defer connect(t, other)()
	var name string
	await.True(t, "the namespace's name", func() bool {
		name = nameOf(t, ctx, other)
		return name != ""
	})
	var page struct {
		Total       int
		Connections []struct{ Netns, Token string }
	}
	filter := url.QueryEscape(`netns "` + name + `"`)
	await.True(t, "its connections", func() bool {
		return asked(t, own, "/api/v1/connections?filter="+filter, &page) && page.Total == 2
	})
	if c := page.Connections[0]; c.Netns != name {
		t.Errorf("namespace %q, want %q", c.Netns, name)
	}
	path := "/api/v1/connections/" + url.PathEscape(name) + "/" + page.Connections[0].Token
	if got := fetch(t, own, "http://127.0.0.1:9099"+path); !strings.HasSuffix(got, "200") {
		t.Errorf("%s: %s", path, got)
	}
	await.True(t, "its metrics", func() bool {
		got := fetch(t, own, "http://127.0.0.1:9099/metrics")
		return strings.Contains(got, `mptcp_connections{netns="`+name+`",side="client",state="established"} 1`)
	})
	if got := fetch(t, own, "http://127.0.0.1:9099/api/v1/findings"); !strings.Contains(got, `"verdict":`) ||
		!strings.HasSuffix(got, "200") {
		t.Errorf("findings: %s", got)
	}
	stopped(t, p)
}
