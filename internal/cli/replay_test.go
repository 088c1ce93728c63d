package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/exit"

	"github.com/google/go-cmp/cmp"
)

// replayed are the command lines of the golden answers.
var replayed = [][]string{
	{"connection"},
	{"-d", "connection"},
	{"-j", "connection"},
	{"connection", "show", "listen"},
	{"endpoint", "show"},
	{"limits", "show"},
	{"counters"},
	{"counters", "watch"},
	{"paths"},
	{"-ts", "monitor"},
	{"-j", "monitor"},
	{"-ts", "-d", "monitor"},
	{"wait", "subflows >= 2"},
}

// runHere runs a command line within this process.
func runHere(args ...string) (stdout, stderr string, code int) {
	var out, errors bytes.Buffer
	code = Main(append([]string{"mptcpctl"}, args...), Streams{strings.NewReader(""), &out, &errors}, testFaces())
	return out.String(), errors.String(), code
}

// fixtures are the recordings of the lab's networks, in a directory for each
// kernel. UPDATE=1 makes them anew, see TestRecordFixtures.
func fixtures(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../source/recording/testdata/*/*.pcapng")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	return names
}

// TestReplayGolden holds the answers from the recordings against golden ones.
func TestReplayGolden(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	local := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = local })
	for _, name := range fixtures(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			var text strings.Builder
			for _, line := range replayed {
				stdout, stderr, code := runHere(append([]string{"--replay", name}, line...)...)
				if code != 0 || stderr != "" {
					t.Errorf("%q: exit code %d, %s", line, code, stderr)
				}
				text.WriteString("$ mptcpctl --replay FILE " + strings.Join(line, " ") + "\n" + stdout + "\n")
			}
			compare(t, strings.TrimSuffix(name, ".pcapng")+".golden", text.String())
		})
	}
}

// TestReplayDoctor: what record wrote is enough for a diagnosis, and what it lacks
// is said.
func TestReplayDoctor(t *testing.T) {
	for _, name := range fixtures(t) {
		out, errs, code := runHere("--replay", name, "-d", "doctor")
		if errs != "" || code == exit.NoVerdict ||
			!strings.Contains(out, "plain TCP sockets: a recording contains only MPTCP sockets") {
			t.Errorf("%s: exit %d: %s%s", name, code, out, errs)
		}
	}
}

// TestReplayDoctorReadsOnce: a recording may come from a pipe, and what is wrong with
// it is said once.
func TestReplayDoctorReadsOnce(t *testing.T) {
	data, err := os.ReadFile(fixtures(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	go func() {
		defer w.Close()
		_, _ = w.Write(data[:len(data)-10]) // a reader that ends early shows below
	}()
	out, errs, code := runHere("--replay", fmt.Sprintf("/dev/fd/%d", r.Fd()), "doctor")
	if code == exit.NoVerdict || out == "" || strings.Count(errs, "ends in the middle of a block") != 1 ||
		strings.Count(errs, "\n") != 1 {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
}

// compare compares a text with a file; UPDATE=1 writes it anew.
func compare(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestReplayRefusals: what a recording cannot answer is an error and no guess.
func TestReplayRefusals(t *testing.T) {
	name := fixtures(t)[0]
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--replay", name, "endpoint", "flush"}, exit.IPUsage, "acts on this host"},
		{[]string{"--replay", name, "limits", "set", "subflows", "1"}, exit.IPUsage, "acts on this host"},
		{[]string{"--replay", name, "nc", "127.0.0.1", "1"}, exit.Usage, "acts on this host"},
		{[]string{"--replay", name, "record", "x"}, exit.Usage, "record needs a live host"},
		{[]string{"--replay", name, "-a", "connection"}, exit.Usage, "-a does not apply"},
		{[]string{"--replay", name, "-n", "x", "connection"}, exit.Usage, "-n does not apply"},
		{[]string{"--replay", name, "policy", "export"}, exit.Usage, "--replay: a recording does not contain this"},
		{[]string{"--replay", name, "pm", "addresses", "token", "1"}, exit.Usage, "--replay: a recording does not contain this"},
		{[]string{"--replay", name, "lab", "list"}, exit.Usage, "--replay: a recording does not contain this"},
		{[]string{"-a", "policy", "export"}, exit.Usage, "one network namespace"},
		{[]string{"--replay", name, "paths", "to", "198.51.100.77"}, exit.Failed, "not recorded"},
		{[]string{"--replay", name, "wait", "subflows > 77"}, exit.Failed, "no connection matched"},
		{[]string{"--replay", name, "monitor", "-d", "--json-array"}, exit.IPUsage, "no derived events"},
		{[]string{"--replay", name, "endpoint", "show", "id", "99"}, exit.IPRefused, "address not found"},
		{[]string{"--replay", "replay_test.go", "connection"}, exit.Failed, "pcapng"},
		{[]string{"--replay", "/nonexistent", "connection"}, exit.Failed, "no such file"},
	} {
		stdout, stderr, code := runHere(test.args...)
		if code != test.code || !strings.Contains(stderr, test.says) || stdout != "" {
			t.Errorf(
				"%q: exit code %d, want %d; %q, want %q; printed %q",
				test.args,
				code,
				test.code,
				stderr,
				test.says,
				stdout,
			)
		}
	}
}

// TestReplayOfACutFile: what a crash leaves is shown, and that it was cut.
func TestReplayOfACutFile(t *testing.T) {
	whole, err := os.ReadFile(fixtures(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cut.pcapng")
	first := bytes.Index(whole, []byte(`{"fact":"end"}`)) // of the first snapshot
	for _, cut := range []int{len(whole) - 3, (len(whole) + first) / 2, first + 50} {
		if err := os.WriteFile(name, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range replayed[:len(replayed)-1] {
			_, stderr, code := runHere(append([]string{"--replay", name}, line...)...)
			if code != 0 {
				t.Errorf("%q of %d of %d bytes: exit code %d, %s", line, cut, len(whole), code, stderr)
			}
		}
	}
}

// TestHostileRecordings changes bytes of the recordings at will: no command may
// panic, hang or send a control character to the terminal.
func TestHostileRecordings(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "hostile.pcapng")
	random := uint64(1)
	next := func(n int) int {
		random ^= random << 13
		random ^= random >> 7
		random ^= random << 17
		return int(random % uint64(n))
	}
	for _, from := range fixtures(t)[:2] {
		whole, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		for round := range 40 {
			data := bytes.Clone(whole)
			for range 1 + next(30) {
				data[200+next(len(data)-200)] = []byte{0x1b, 0, 0xff, '"', 0x9b, byte(next(256))}[next(6)]
			}
			// A device, process or counter with an escape sequence for a name.
			for _, word := range []string{`"eth0"`, `"eth1"`, `"name":"`} {
				data = bytes.ReplaceAll(data, []byte(word), []byte(word[:1]+"\\u001b"+word[min(7, len(word)-1):]))
			}
			if round%2 == 0 { // the same length: the blocks stay whole
				data = bytes.ReplaceAll(whole, []byte("eth1"), []byte("e\xc2\x9b1"))
				data = bytes.ReplaceAll(data, []byte("MPJoinSynAckRx"), []byte("MPJoin\x1b[31mRx"))
				data[400+next(len(data)-400)] ^= byte(1 << next(8))
			}
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, line := range replayed {
				stdout, stderr, _ := runHere(append([]string{"--replay", name}, line...)...)
				for _, r := range stdout + stderr {
					if r < 0x20 && r != '\n' || r >= 0x7f && r < 0xa0 {
						t.Fatalf("round %d, %q: %q reaches the terminal in %q", round, line, r, stdout+stderr)
					}
				}
			}
		}
	}
}

// TestReplayWaitsAsMonitorPrints: wait finds the event of a recording that monitor prints
// first with the same filter, which asks for the connection as it was at that time.
func TestReplayWaitsAsMonitorPrints(t *testing.T) {
	found := 0
	for _, name := range fixtures(t) {
		for _, expr := range []string{
			"event CREATED and subflows < 2", "event SF_ESTABLISHED and subflows >= 2",
			"event SF_CLOSED and subflows >= 2",
		} {
			printed, _, _ := runHere("--replay", name, "-d", "monitor", expr)
			first, _, _ := strings.Cut(printed, "\n")
			waited, errs, code := runHere("--replay", name, "-d", "wait", expr)
			if first != "" {
				found++
			}
			if strings.TrimSpace(waited) != first || (code == 0) != (first != "") {
				t.Errorf("%s: %q: monitor prints %q, wait %q (%d, %s)", name, expr, first, waited, code, errs)
			}
		}
	}
	if found == 0 {
		t.Error("no recording has such events")
	}
}
