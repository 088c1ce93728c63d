package cli

import (
	"os"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// What stands in the way of all paths is said with them.
func TestPathsWhereMPTCPIsOff(t *testing.T) {
	ns := labtest.MPTCP(t)
	set := func(name, value string) {
		t.Helper()
		if err := ns.Do(func() error { return os.WriteFile("/proc/sys/net/mptcp/"+name, []byte(value), 0o644) }); err != nil {
			t.Fatal(err)
		}
	}
	if got := ask(t, ns, self(t), "mptcpctl", "paths"); strings.Contains(got.stdout, "switched off") {
		t.Errorf("%v", got)
	}
	set("enabled", "0")
	set("pm_type", "1")
	got := ask(t, ns, self(t), "mptcpctl", "paths", "to", "localhost")
	for _, want := range []string{"MPTCP is disabled", "  sysctl -w net.mptcp.enabled=1\n", "userspace path manager is selected", "to 127.0.0.1"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("%v, want %q", got, want)
		}
	}
}

// Words that can match nothing are no silent empty list.
func TestFiltersThatMatchNothing(t *testing.T) {
	t.Parallel()
	ns := labtest.MPTCP(t)
	for args, want := range map[string]string{
		"connection netns blue":      "-a watches all of them",
		"wait netns blue":            "-a watches all of them",
		"connection event CLOSED":    "words about events",
		"connection state listening": "connection show listen",
		"doctor dst 192.0.2.77":      "only facts that concern the whole host were judged",
	} {
		if got := ask(t, ns, self(t), "mptcpctl", strings.Fields(args)...); !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %v, want %q", args, got, want)
		}
	}
}
