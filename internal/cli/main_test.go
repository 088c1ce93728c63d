package cli

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strings"
	"testing"

	"mptcpctl/internal/cli/whole"
	"mptcpctl/internal/force"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/opener"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs are the names that the scripts call the program by.
func programs() map[string]func() {
	run := func() { os.Exit(Main(os.Args, Streams{os.Stdin, os.Stdout, os.Stderr}, testFaces())) }
	stub := func() { os.Exit(opener.Stub(os.Args)) }
	return map[string]func(){
		"mptcpctl": run, "ip-mptcp": run, "pm_nl_ctl": run, opener.Name: stub, unitProgram: startAsUnit,
		"9": run, // the descriptor that doctor --copy starts the program by
	}
}

// testFaces are those of the whole program, which the tests are.
func testFaces() Faces {
	return Faces{
		Top: whole.Top, Serve: whole.Serve, At: whole.At,
		History: History{whole.HistoryList, whole.HistoryShow, whole.HistoryDiff, whole.HistoryVerify},
	}
}

// TestMain runs the tests, or one of the programs when a script calls it.
func TestMain(m *testing.M) {
	if force.IsStub(os.Args) { // `run` starts this binary again
		os.Exit(force.Stub())
	}
	if _, ok := programs()[path.Base(os.Args[0])]; !ok {
		labtest.Enter()
	}
	testscript.Main(m, programs())
}

// TestScripts runs testdata/*.txtar. Each script has a network namespace of its
// own, loopback up: all that it calls starts there, also background programs and
// foreign ones. $NETNS is the namespace's path, $OTHER that of a second one, for
// -n. Conditions: [mptcp], [exec:PROGRAM], [root],
// [since:MAJOR.MINOR] of the kernel.
func TestScripts(t *testing.T) {
	labtest.Namespace(t) // skips, or fails, where there are none
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       os.Getenv("UPDATE") == "1",
		RequireExplicitExec: true,
		Setup:               enterScriptNamespace,
		Condition:           scriptCondition,
	})
}

// enterScriptNamespace puts the script's goroutine, from whose thread all its
// programs are forked, into a new namespace. The thread ends with the script.
func enterScriptNamespace(env *testscript.Env) error {
	other, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	own, err := lab.NewNamespace()
	if err != nil {
		return err
	}
	env.Defer(func() { other.Close(); own.Close() })
	runtime.LockOSThread()
	if err := own.Enter(); err != nil {
		return err
	}
	env.Setenv("NETNS", own.Path())
	env.Setenv("OTHER", other.Path())
	env.Setenv("TERM", "dumb")
	env.Setenv("GORACE", os.Getenv("GORACE"))
	return nil
}

func scriptCondition(cond string) (bool, error) {
	switch {
	case cond == "mptcp":
		return lab.CheckMPTCP() == nil, nil
	case cond == "root":
		return os.Getuid() == 0, nil
	case strings.HasPrefix(cond, "since:"):
		var since lab.Kernel
		if _, err := fmt.Sscanf(cond, "since:%d.%d", &since.Major, &since.Minor); err != nil {
			return false, err
		}
		ahead, err := since.IsAhead()
		return !ahead, err
	}
	return false, &unknownConditionError{strings.Clone(cond)}
}

type unknownConditionError struct{ cond string }

func (e *unknownConditionError) Error() string { return "unknown condition " + e.cond }
