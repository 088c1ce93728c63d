package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
)

// TestHistoryRemembers has serve keep what happens, and asks for it afterwards.
func TestHistoryRemembers(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	folder := filepath.Join(t.TempDir(), "history")
	asked := func(args ...string) lab.ProcessConfig {
		c := tool(args...)
		c.Env = append(os.Environ(), "MPTCPCTL_HISTORY="+folder)
		return c
	}
	answer := func(args ...string) string {
		t.Helper()
		out, errs, code := ran(t, ns, asked(args...))
		if code != 0 {
			t.Fatalf("%v: exit %d\n%s%s", args, code, out, errs)
		}
		return out
	}
	openToOthers(t, folder)
	p := started(t, ns, asked("serve", "--history="+folder))
	ready(t, p)
	end := connect(t, ns)
	await.True(t, "the connection in the history", func() bool {
		out, _, _ := ran(t, ns, asked("-j", "--at", "now", "connection", "side", "client"))
		return strings.Contains(out, `"pair":`) // it was looked at, beside its events
	})
	during := time.Now()
	if out, _, code := ran(t, ns, tool("endpoint", "add", "127.0.0.2", "signal")); code != 0 {
		t.Fatal(out)
	}
	await.True(t, "the endpoint in the history", func() bool {
		out, _, _ := ran(t, ns, asked("--at", "now", "endpoint"))
		return strings.Contains(out, "127.0.0.2")
	})
	end()
	var ended string
	await.True(t, "the end of both ends of the connection", func() bool {
		ended = answer("history", "state", "all", "since", "1h-ago")
		return strings.Count(ended, "ENDED]") == 2
	})
	stopped(t, p)
	for _, want := range []string{" how=closed ", " via=lo:127.0.0.1->127.0.0.1:", " lasted=", " pair=", " side=client "} {
		if !strings.Contains(ended, want) {
			t.Errorf("%q is not in\n%s", want, ended)
		}
	}
	at := during.Format("2006-01-02T15:04:05.999999999Z07:00")
	if got := answer("--at", at, "connection", "side", "client"); strings.Count(got, " client ") != 1 || strings.Contains(got, " server ") {
		t.Errorf("the connections of that moment:\n%s", got)
	}
	if got := answer("--at", "now", "connection"); got != "" {
		t.Errorf("connections after their end: %s", got)
	}
	if before, after := answer("--at", at, "endpoint"), answer("--at", "now", "endpoint"); before != "" ||
		after != "127.0.0.2 id 1 signal \n" {
		t.Errorf("endpoints before %q, after %q", before, after)
	}
	difference := answer("history", "diff", at, "now")
	if !strings.Contains(difference, "+ endpoint 127.0.0.2 id 1 signal\n") || strings.Count(difference, "- connection ") != 2 {
		t.Errorf("the difference:\n%s", difference)
	}
	checkStory(t, answer)
	if got := answer("history", "verify"); !strings.Contains(got, " 0 lost and accounted for, 0 missing\n") {
		t.Errorf("verify: %s", got)
	}
	checkBooks(t, folder)
	for _, wrong := range [][]string{
		{"--at", "noon", "connection"}, {"--at", "now", "paths"}, {"history", "show", "xyz"}, {"history", "since"},
		{"history", "diff", "now"}, {"history", "until", "1h-ago", "since", "now"}, {"serve", "--history-age", "7d"},
	} {
		if _, _, code := ran(t, ns, asked(wrong...)); code != 2 {
			t.Errorf("%v: exit %d, want 2", wrong, code)
		}
	}
	for _, early := range [][]string{{"--at", "2020-01-01", "connection"}, {"history", "show", "00000001"}} {
		if _, errs, code := ran(t, ns, asked(early...)); code != 1 || errs == "" {
			t.Errorf("%v: exit %d, %s", early, code, errs)
		}
	}
}

// checkStory shows one connection by its token and by its pair, as text and as JSON.
func checkStory(t *testing.T, answer func(args ...string) string) {
	t.Helper()
	var line struct {
		Pair       string
		Connection struct {
			Connection struct{ Token string }
		}
	}
	for text := range strings.Lines(answer("-j", "history", "side", "client")) {
		if strings.Contains(text, `"change":"ended"`) {
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := line.Connection.Connection
	story := answer("history", "show", c.Token)
	for _, want := range []string{"CREATED] token=" + c.Token, "ENDED] token=" + c.Token, "\n" + c.Token + " closed client"} {
		if !strings.Contains(story, want) {
			t.Errorf("%q is not in the story of %s:\n%s", want, c.Token, story)
		}
	}
	if both := answer("history", "show", line.Pair[:8]); strings.Count(both, "ENDED]") != 2 {
		t.Errorf("the story of the pair %s:\n%s", line.Pair, both)
	}
}

// openToOthers lets others reach the folder: as root the server becomes another user.
func openToOthers(t *testing.T, folder string) {
	t.Helper()
	for range 2 {
		folder = filepath.Dir(folder)
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDoctorRemembers mends a fault, and asks doctor afterwards what there was.
func TestDoctorRemembers(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	folder := filepath.Join(t.TempDir(), "history")
	openToOthers(t, folder)
	enable := func(value string) {
		t.Helper()
		err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/enabled", []byte(value), 0) })
		if err != nil {
			t.Fatal(err)
		}
	}
	enable("0")
	p := started(t, ns, tool("serve", "--history="+folder))
	ready(t, p)
	asked := func(args ...string) (string, int) {
		c := tool(args...)
		c.Env = append(os.Environ(), "MPTCPCTL_HISTORY="+folder)
		out, _, code := ran(t, ns, c)
		return out, code
	}
	await.True(t, "the finding in the history", func() bool {
		out, code := asked("doctor", "since", "1h-ago")
		return code == 2 && strings.Contains(out, "FAIL D02 ")
	})
	enable("1")
	await.True(t, "a host that is healthy again", func() bool {
		fetch(t, ns, "http://127.0.0.1:9099/api/v1/findings") // has it look now
		out, code := asked("doctor", "since", "1h-ago")
		past, found := strings.CutPrefix(out, "healthy\n\nfound since ")
		return code == 0 && found && strings.Contains(past, "not there at the end\n") && strings.Contains(past, "UTC FAIL D02 ")
	})
	c := tool("-j", "doctor", "since", "1h-ago")
	c.Env = append(os.Environ(), "MPTCPCTL_HISTORY="+folder)
	out, errs, _ := ran(t, ns, c)
	for name, text := range map[string]string{"answer": out, "warning": errs} { // it began later
		if strings.Count(text, "nobody kept the history then") != 1 {
			t.Errorf("the %s does not say what could not be seen: %s", name, text)
		}
	}
	stopped(t, p)
}
