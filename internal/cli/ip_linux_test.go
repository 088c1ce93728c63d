package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
)

// ipShapes are command lines behind `ip`, run one after the other: what follows
// depends on what went before. Shapes on which versions of iproute2 differ are in
// ip.txtar.
const ipShapes = `
mptcp foo
mptcp limits foo
mptcp monitor foo
mptcp ep
mptcp -j endpoint
-foo mptcp
-color=foo mptcp
-n nosuch mptcp endpoint
-family foo mptcp limits
-family all mptcp limits
-f inet6 mptcp limits
-family mptcp limits
-rcvbuf foo mptcp limits
-rcvbuf -1 mptcp limits
-rc 0x10000 mptcp limits
-rcvbuf mptcp limits
-l foo mptcp limits
-net nosuch mptcp endpoint
-netns nosuch mptcp endpoint
foo
mptcp endpoint add
mptcp endpoint add 1.2.3.4.5
mptcp endpoint add 1.1.1.1 id
mptcp endpoint add 1.1.1.1 dev nosuch
mptcp endpoint add 1.1.1.1 dev aaaaaaaaaaaaaaaaaaaaaaaa
mptcp endpoint add 1.1.1.1 foo
mptcp endpoint add 1.1.1.1 unknown
mptcp endpoint add 1.1.1.1 sub
mptcp endpoint add 1.1.1.1 id 300
mptcp endpoint add 1.1.1.1 id -1
mptcp endpoint add 1.1.1.1 port 10
mptcp endpoint add 1.1.1.1 port foo signal
mptcp endpoint add 1.1.1.1 port 99999 signal
mptcp endpoint add 1.1.1.1 signal fullmesh
mptcp endpoint add 1.1.1.1 signal subflow port 80
mptcp endpoint add -1
mptcp endpoint add 0x0a000005
mptcp endpoint add any
mptcp endpoint add 10.0.0.7/24 signal
mptcp endpoint add fe80::1%lo signal
mptcp endpoint show
-j mptcp endpoint show
-j -p mptcp endpoint show
mptcp endpoint show id 77
mptcp endpoint add 10.0.0.1 signal port 10
mptcp endpoint add 10.0.0.1 signal id 5
mptcp endpoint add 10.0.0.1 signal id 6
mptcp endpoint add 10.0.0.7 signal id 5
mptcp endpoint add 10.0.0.2 subflow backup fullmesh dev lo
mptcp endpoint add ::ffff:10.0.0.3 dev if4711 subflow
mptcp endpoint add fe80::1 dev lo id 0x63 signal backup
mptcp endpoint add 127.0.0.1 port 9999 signal
mptcp endpoint add 10.1 nobackup
mptcp endpoint add 010.2 subflow id 010
mptcp endpoint add 10.4.4.4 10.4.4.5
mptcp endpoint add 10.4.4.6 subflow
mptcp endpoint add 10.4.4.7 subflow
mptcp endpoint
mptcp endpoint show
mptcp e s id 5
-j mptcp endpoint show
--json mptcp endpoint show id 99
-j -p mptcp endpoint
-details -s -4 mptcp e
mptcp endpoint show 10.0.0.1
mptcp endpoint show foo
mptcp endpoint change id 5 signal
mptcp endpoint change id 5 backup port 7
mptcp endpoint change 10.0.0.9 backup
mptcp endpoint change id 200 backup
mptcp endpoint change
mptcp endpoint change backup
mptcp endpoint change 10.0.0.2 nofullmesh backup
mptcp endpoint change id 5 backup
mptcp endpoint change 127.0.0.1 port 9999 backup
mptcp e
mptcp endpoint change id 5
mptcp e show i 5
mptcp endpoint del
mptcp endpoint del 1.2.3.4
mptcp endpoint del id 0
mptcp endpoint del id 1 1.1.1.1
mptcp endpoint del id 0 10.0.1.1
mptcp endpoint change id 5 10.0.0.2 backup
mptcp endpoint show
mptcp endpoint change id 99 10.0.0.2 fullmesh
mptcp endpoint change id 5 any backup
mptcp endpoint change 10.0.0.2 any
mptcp endpoint change any 10.0.0.2 nobackup
mptcp endpoint add 10.9.9.9 any
mptcp endpoint add 10.9.9.9 default subflow
mptcp endpoint del id 0 10.0.0.2 all
mptcp endpoint del id 0 all 10.0.0.2
mptcp endpoint show id 5 10.0.0.2
mptcp endpoint show 10.0.0.1 any
mptcp endpoint show id 5 all
mptcp endpoint show
mptcp endpoint delete id 99
mptcp endpoint del id 99
mptcp endpoint foo
mptcp endpoint help
mptcp e
mptcp e f extra
mptcp endpoint
mptcp limits
mptcp limits show
-j mptcp limits
mptcp limits set subflows 99
mptcp limits set subflows
mptcp limits set foo
mptcp limits set subflows foo
mptcp limits set add_addr_accepted -1
mptcp limits set
mptcp limits set add_addr_accepted 8 subflows 0x8
mptcp li sh
mptcp limits set sub 3 a 4
mptcp l
mptcp limits show foo
mptcp limits show sub 3
-all -N -r mptcp limits
-- mptcp limits
-b nosuchfile
`

// answer is what a program said.
type answer struct {
	stdout, stderr string
	code           int
}

func (a answer) String() string {
	return fmt.Sprintf("exit %d\nstdout: %q\nstderr: %q", a.code, a.stdout, a.stderr)
}

// ask runs a program in the namespace; name is what it finds as its own.
func ask(t *testing.T, ns *lab.Namespace, program, name string, args ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Args[0] = name
	cmd.Env = append(os.Environ(), "TERM=dumb")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAnswersAsIP runs the same command lines through the installed ip and
// through this program, each in a namespace of its own: called as ip-mptcp it
// must say the same, as mptcpctl print the same and end with the same code.
func TestAnswersAsIP(t *testing.T) {
	t.Parallel()
	ip, err := exec.LookPath("ip")
	if err != nil {
		labtest.Skip(t, "iproute2 is not installed: %v", err)
	}
	theirs, asIP, ours := labtest.MPTCP(t), labtest.MPTCP(t), labtest.MPTCP(t)
	old := labtest.KernelBefore(t, 6, 13) // which asks for the id in words of its own
	for line := range strings.Lines(strings.TrimSpace(ipShapes)) {
		args := strings.Fields(line)
		if old && strings.HasPrefix(line, "mptcp endpoint change") {
			continue
		}
		want := ask(t, theirs, ip, "ip", args...)
		if got := ask(t, asIP, self(t), "ip-mptcp", args...); got != want {
			t.Errorf("ip-mptcp %s\ngot:  %v\nwant: %v", strings.TrimSpace(line), got, want)
		}
		asked, ok := withoutObject(args)
		if !ok {
			continue
		}
		got := ask(t, ours, self(t), "mptcpctl", asked...)
		if !improved(asked) && (got.stdout != want.stdout || got.code != want.code) {
			t.Errorf("mptcpctl %q\ngot:  %v\nwant: %v", asked, got, want)
		}
		if got.code != 0 && !strings.HasPrefix(got.stderr, "mptcpctl: ") {
			t.Errorf("mptcpctl %q: stderr %q", asked, got.stderr)
		}
	}
}

// withoutObject returns ip's command line without the word mptcp, which is
// mptcpctl's, and false where there is none.
func withoutObject(args []string) ([]string, bool) {
	for i, word := range args {
		if word == "mptcp" {
			return append(args[:i:i], args[i+1:]...), true
		}
	}
	return nil, false
}

// improved reports whether mptcpctl answers better than ip on purpose.
func improved(args []string) bool {
	switch line := strings.Join(args, " "); line {
	case "-j limits": // JSON, where ip prints text
	case "endpoint show 10.0.0.1": // found by its address
	case "endpoint show id 5 10.0.0.2": // not found: both must fit
	case "endpoint help": // is help
	case "-foo", "-color=foo", "foo", "ep": // ours: exit code 2
	case "-j endpoint", "-details -s -4 e", "-all -N -r limits": // other global options
	default:
		for _, option := range []string{"-f", "-rc", "-l"} { // other global options
			if strings.HasPrefix(line, option) {
				return true
			}
		}
		return strings.HasPrefix(line, "-j ") && strings.HasSuffix(line, "limits")
	}
	return true
}

// TestBatchAsIP feeds the same batch files to ip and to ip-mptcp.
func TestBatchAsIP(t *testing.T) {
	t.Parallel()
	ip, err := exec.LookPath("ip")
	if err != nil {
		labtest.Skip(t, "iproute2 is not installed: %v", err)
	}
	for name, text := range map[string]string{
		"good": "# limits first\nmptcp limits set subflows 3\n\nmptcp endpoint add 10.0.0.1 \\\n  signal " +
			"id 3\nmptcp endpoint show # all\n",
		"refused":         "mptcp endpoint del id 9\nmptcp limits\n",
		"wrong argument":  "mptcp endpoint add 10.0.0.1 id 999\nmptcp limits\n",
		"wrong address":   "mptcp endpoint add nowhere\nmptcp limits\n",
		"unknown command": "mptcp frobnicate\nmptcp limits\n",
		"unknown object":  "frobnicate\nmptcp limits\n",
		"quotes":          "mptcp \"endpoint\" 'add' 10.0.0.4\nmptcp endpoint\n",
		"no line break":   "mptcp limits",
	} {
		for _, option := range [][]string{{"-b"}, {"-force", "-b"}} {
			file := t.TempDir() + "/batch"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append(option, file)
			want := ask(t, labtest.MPTCP(t), ip, "ip", args...)
			got := ask(t, labtest.MPTCP(t), self(t), "ip-mptcp", args...)
			if got != want {
				t.Errorf("%s, %q:\ngot:  %v\nwant: %v", name, option, got, want)
			}
		}
	}
}

// TestClosedOutputIsNoFailure writes to a pipe whose reader is gone.
func TestClosedOutputIsNoFailure(t *testing.T) {
	ns := labtest.MPTCP(t)
	var code int
	var stderr bytes.Buffer
	err := ns.Do(func() error {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer w.Close()
		r.Close()
		a := &app{Streams: Streams{strings.NewReader(""), w, &stderr}, program: "mptcpctl", dial: dialPathManager}
		defer a.close()
		code = a.main(context.Background(), []string{"limits"})
		return nil
	})
	if err != nil || code != 0 || stderr.Len() > 0 {
		t.Errorf("exit %d, stderr %q, %v: want a quiet end", code, stderr.String(), err)
	}
}

// TestEndsWithItsReader has the reader of the output go, before a line comes and while
// many do.
func TestEndsWithItsReader(t *testing.T) {
	t.Parallel()
	ns := labtest.MPTCP(t)
	for _, args := range []string{"limits", "help", "-a monitor", "monitor -d", "monitor", "connection show", "counters show", "-j counters show"} {
		cmd := exec.CommandContext(t.Context(), self(t), strings.Fields(args)...)
		cmd.Args[0] = "mptcpctl"
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = w, &stderr
		if err := ns.Start(cmd); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if err := cmd.Wait(); err != nil || strings.Contains(stderr.String(), "mptcpctl: monitor") {
			t.Errorf("%s: %v, stderr %q: want the exit code 0", args, err, stderr.String())
		}
	}
}
