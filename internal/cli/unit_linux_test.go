package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mptcpctl/internal/await"
	"mptcpctl/internal/history"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/uapi"
)

const units = "../../packaging/systemd/"

// unitUser is a user id of those that DynamicUser takes.
const unitUser = "64998"

// asUnit returns the shipped program, started as a unit starts it: with its user,
// capabilities, system calls, address families and memory limit. The second result tells how
// much memory it had at most, and how often the limit was hit.
func asUnit(t *testing.T, unitFile, user string, args ...string) (lab.ProcessConfig, func() (most, hits string)) {
	t.Helper()
	if os.Getuid() != 0 || !ofTheHost() {
		t.Skip("only root of the host can start a program as a unit does")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the list of system calls is that of amd64")
	}
	u, err := readUnit(units + unitFile)
	if err != nil {
		t.Fatal(err)
	}
	group, usage := memoryGroup(t, u["MemoryMax"])
	line := append([]string{"/proc/self/exe", units + unitFile, user, group, shippedProgram(t)}, args...)
	return lab.ProcessConfig{Args: line, Arg0: unitProgram}, usage
}

func ofTheHost() bool {
	text, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Contains(string(text), "4294967295")
}

// shippedProgram builds the program without C, where others can execute it.
func shippedProgram(t *testing.T) string {
	t.Helper()
	compiler, err := exec.LookPath("go")
	if err != nil {
		labtest.Skip(t, "no Go toolchain to build the program with")
	}
	folder := t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "mptcpctl")
	build := exec.CommandContext(
		t.Context(), compiler, "build", "-buildvcs=false", "-o", program, "../../cmd/mptcpctl-full")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// memoryGroup makes a control group with the limit of a unit, of whichever version the host
// has. Without one the rest is tested.
func memoryGroup(t *testing.T, limit []string) (procs string, usage func() (most, hits string)) {
	t.Helper()
	none := func() (string, string) { return "", "" }
	number, ok := strings.CutSuffix(strings.Join(limit, ""), "M")
	megabytes, err := strconv.Atoi(number)
	if err != nil || !ok {
		t.Fatalf("MemoryMax=%s is not known to this test", limit)
	}
	for _, v := range []struct{ root, limit, most, hits string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.failcnt"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"},
	} {
		folder := filepath.Join(v.root, fmt.Sprintf("mptcpctl-test-%d-%s", os.Getpid(), number))
		if os.Mkdir(folder, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { os.Remove(folder) })
		if os.WriteFile(filepath.Join(folder, v.limit), []byte(strconv.Itoa(megabytes<<20)), 0) != nil {
			continue
		}
		read := func(name string) string {
			text, err := os.ReadFile(filepath.Join(folder, name))
			if err != nil {
				return err.Error()
			}
			return strings.TrimSpace(string(text))
		}
		return filepath.Join(folder, "cgroup.procs"), func() (string, string) { return read(v.most), read(v.hits) }
	}
	t.Log("there is no control group for a memory limit: the rest is tested")
	return "", none
}

// storm makes events in the namespace, as fast as one thread can: of a listener, of devices
// that come and go, of connections.
func storm(t *testing.T, ns *lab.Namespace) {
	t.Helper()
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, uapi.IPPROTO_MPTCP)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for round := range 5 {
			for range 40_000 {
				if err := unix.Listen(fd, 16); err != nil {
					return err
				}
			}
			name := fmt.Sprintf("storm%d", round)
			device := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "b"}
			if err := netlink.LinkAdd(device); err != nil {
				return fmt.Errorf("add a device: %w", err)
			}
			address := &netlink.Addr{IPNet: netlink.NewIPNet([]byte{10, 99, byte(round), 1})}
			if err := netlink.AddrAdd(device, address); err != nil {
				return fmt.Errorf("add an address: %w", err)
			}
			if err := netlink.LinkDel(device); err != nil {
				return fmt.Errorf("delete a device: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestServeAsItsUnit: the packaged service outlives storms, losses and devices that come and
// go, and answers afterwards.
func TestServeAsItsUnit(t *testing.T) {
	t.Parallel()
	ns := loopback(t)
	c, usage := asUnit(t, "mptcpctl.service", unitUser, "serve", "--history")
	state := unitState(t)
	c.Env = append(os.Environ(), "STATE_DIRECTORY="+state)
	p := started(t, ns, c)
	ready(t, p)
	defer connect(t, ns)()
	for range 3 {
		storm(t, ns)
	}
	await.True(t, "both ends of the connection, and that it is ready", func() bool {
		return strings.Contains(fetch(t, ns, "http://127.0.0.1:9099/api/v1/connections"), `"total":2,`) &&
			strings.HasSuffix(fetch(t, ns, "http://127.0.0.1:9099/readyz"), "200")
	})
	if code := endOf(t, p); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	checkBooks(t, filepath.Join(state, "history"))
	most, hits := usage()
	t.Logf("memory at most %s, limit hit: %s", most, hits)
	for _, line := range p.Lines() {
		for _, bad := range []string{"privileges are kept", "files are not out of reach", "panic", "processes are not shown"} {
			if strings.Contains(line.Text, bad) {
				t.Error(line.Text)
			}
		}
	}
}

// unitState makes the folder of the unit's StateDirectory, as systemd makes it.
func unitState(t *testing.T) string {
	t.Helper()
	state := t.TempDir()
	user, err := strconv.Atoi(unitUser)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		os.Chmod(filepath.Dir(state), 0o755), os.Chmod(state, 0o700), os.Chown(state, user, user),
	); err != nil {
		t.Fatal(err)
	}
	return state
}

// checkBooks reads the whole history and fails where a line is missing.
func checkBooks(t *testing.T, folder string) {
	t.Helper()
	r, err := history.NewReader(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	report, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &report.Books
	if b.Lines == 0 || b.Missing > 0 || b.Backward > 0 || len(report.Damaged) > 0 {
		t.Errorf("the books of the history: %+v, %v", b, report.Damaged)
	}
	t.Logf("history: %d lines in %d bytes, %d lost", b.Lines, report.Bytes, b.Lost)
}

// TestPolicyAsItsUnit: so does the service that carries out the policy.
func TestPolicyAsItsUnit(t *testing.T) {
	t.Parallel()
	w := newPolicyWorld(t)
	ns := w.client.Namespace
	c, usage := asUnit(t, "mptcpctl-policy.service", "0", "policy", "watch", w.file, "--state", w.state)
	p := started(t, ns, c)
	endpoints := func() string {
		out, _, _ := ran(t, ns, tool("endpoint", "show"))
		return out
	}
	await.True(t, "the endpoints of the policy", func() bool { return strings.Contains(endpoints(), "10.0.1.2") })
	storm(t, ns)
	if _, _, code := ran(t, ns, tool("endpoint", "flush")); code != 0 {
		t.Fatal("endpoints cannot be flushed")
	}
	await.True(t, "the endpoints of the policy, anew", func() bool { return strings.Contains(endpoints(), "10.0.1.2") })
	if code := endOf(t, p); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	most, hits := usage()
	t.Logf("memory at most %s, limit hit: %s", most, hits)
}

// endOf ends the process as systemd does, and returns its exit code.
func endOf(t *testing.T, p *lab.Process) int {
	t.Helper()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code, err := p.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// TestUnitsAreKnown: the test's own reading of the units has all that they set about calls.
func TestUnitsAreKnown(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the list of system calls is that of amd64")
	}
	for _, name := range []string{"mptcpctl.service", "mptcpctl-policy.service"} {
		u, err := readUnit(units + name)
		if err != nil {
			t.Fatal(err)
		}
		if filter, err := u.filter(); err != nil || len(filter) < 400 {
			t.Errorf("%s: %d instructions, %v", name, len(filter), err)
		}
	}
}
