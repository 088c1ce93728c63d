// Package labtest gives kernel tests their network namespaces, and decides when a
// test is skipped: only for a typed reason, and never where REQUIRE_KERNEL=1 is
// set.
package labtest

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"mptcpctl/internal/lab"
)

// unavailableEnv carries the reason why namespaces cannot be made to the tests.
const unavailableEnv = "MPTCPCTL_LAB_UNAVAILABLE"

// Main is what TestMain of a package with kernel tests calls: it runs the tests,
// for an ordinary user inside a user namespace of their own.
func Main(m *testing.M) {
	Enter()
	os.Exit(m.Run())
}

// Enter is the part of Main before the tests are run, for a TestMain that runs
// them by other means. For an ordinary user it starts the test binary again in a
// user namespace, and does not return.
func Enter() {
	holdIfAsked()
	hearSignals()
	// A program built with the race detector lingers for a second when it ends, as
	// each command does that a test starts.
	if os.Getenv("GORACE") == "" {
		os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	code, ran, err := lab.Enter()
	if ran {
		os.Exit(code)
	}
	if err != nil {
		os.Setenv(unavailableEnv, err.Error())
	}
	runInParallel()
}

// hearSignals undoes what nohup, a service or a background job of a shell may have
// done: what a process ignores its children ignore too, and tests send signals to
// theirs. A signal with a handler is an ordinary one in a child.
func hearSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}

// Skip skips the test with the reason, or fails it where REQUIRE_KERNEL=1 is set:
// then a machine that cannot run it is an error and not an excuse.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv("REQUIRE_KERNEL") == "1" {
		t.Fatalf("REQUIRE_KERNEL=1: %s", reason)
	}
	t.Skip(reason)
}

// SkipMissing skips the test where the error is that the system lacks something.
func SkipMissing(t testing.TB, err error) {
	t.Helper()
	if missing, ok := errors.AsType[*lab.MissingError](err); ok {
		Skip(t, "%v", missing)
	}
}

// Namespace returns a network namespace of the test's own, loopback up, closed
// with the test.
func Namespace(t testing.TB) *lab.Namespace {
	t.Helper()
	if reason := os.Getenv(unavailableEnv); reason != "" {
		Skip(t, "%s", reason)
	}
	ns, err := lab.NewNamespace()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// MPTCP returns a network namespace as Namespace does, in which MPTCP sockets can
// be opened.
func MPTCP(t testing.TB) *lab.Namespace {
	t.Helper()
	ns := Namespace(t)
	if err := ns.Do(lab.CheckMPTCP); err != nil {
		Skip(t, "%v", err)
	}
	return ns
}
