package confine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The processes that the tests start confine themselves, and then try what they no longer
// may: these variables say how, and where they may read.
const (
	childVariable  = "CONFINE_CHILD"
	folderVariable = "CONFINE_FOLDER"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "files":
		tryFiles(os.Getenv(folderVariable))
	case "user":
		tryUser()
	default:
		os.Exit(m.Run())
	}
}

// try prints what became of one attempt.
func try(what string, err error) {
	switch {
	case err == nil:
		fmt.Println(what, "allowed")
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		fmt.Println(what, "refused")
	default:
		fmt.Println(what, err)
	}
}

// tryFiles leaves the process one folder to read.
func tryFiles(folder string) {
	inside, outside := filepath.Join(folder, "inside"), filepath.Join(folder, "outside")
	version, err := Files(nil, inside, filepath.Join(folder, "missing"), filepath.Join(inside, "file", "below"))
	if err != nil || version == 0 {
		fmt.Println("landlock", version, err)
		return
	}
	read := func(name string) error { _, err := os.ReadFile(name); return err }
	try("read inside", read(filepath.Join(inside, "file")))
	try("read outside", read(filepath.Join(outside, "file")))
	try("write inside", os.WriteFile(filepath.Join(inside, "file"), nil, 0o600))
	try("create inside", os.WriteFile(filepath.Join(inside, "new"), nil, 0o600))
	try("remove inside", os.Remove(filepath.Join(inside, "file")))
	try("execute", exec.Command("/bin/true").Run())
	if version >= 4 {
		var plain net.ListenConfig
		plain.SetMultipathTCP(false)
		_, err = plain.Listen(context.Background(), "tcp4", "127.0.0.1:0")
		try("listen", err)
		_, err = (&net.Dialer{}).DialContext(context.Background(), "tcp4", "127.0.0.1:9")
		try("connect", err)
	}
}

// tryUser gives up root.
func tryUser() {
	id, err := Lookup("65533")
	if err == nil {
		err = Become(id, 1<<unix.CAP_NET_ADMIN)
	}
	if err != nil {
		fmt.Println("become", err)
		return
	}
	groups, err := os.Getgroups()
	fmt.Println("user", os.Getuid(), os.Geteuid(), os.Getgid(), os.Getegid(), groups, err)
	try("root's file", func() error { _, err := os.ReadFile("/etc/shadow"); return err }())
	try("root's folder", os.WriteFile("/etc/confined", nil, 0o600))
	try("own socket options", withSocket(func(fd int) error { // CAP_NET_ADMIN was kept
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 1<<20)
	}))
	try("raw socket", func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP); return err }())
	try("become root again", syscall.Setuid(0))
	for line := range strings.Lines(mustRead("/proc/self/status")) {
		if strings.HasPrefix(line, "Cap") || strings.HasPrefix(line, "NoNewPrivs") {
			fmt.Print(line)
		}
	}
}

func withSocket(f func(fd int) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	return errors.Join(f(fd), unix.Close(fd))
}

func mustRead(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// child runs this program again and returns what it printed.
func child(t *testing.T, variables ...string) string {
	t.Helper()
	c := exec.Command("/proc/self/exe")
	c.Env = append(os.Environ(), variables...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestFilesAreOutOfReach(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{"inside", "outside"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name, "file"), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out := child(t, childVariable+"=files", folderVariable+"="+folder)
	if strings.HasPrefix(out, "landlock 0") {
		t.Skip("this kernel has no Landlock")
	}
	want := "read inside allowed\nread outside refused\nwrite inside refused\ncreate inside refused\n" +
		"remove inside refused\nexecute refused\n"
	net := "listen refused\nconnect refused\n"
	if out != want && out != want+net {
		t.Errorf("got\n%swant\n%s", out, want+net)
	}
}

func TestRootIsGivenUp(t *testing.T) {
	if os.Getuid() != 0 || !ownsRoot() {
		t.Skip("only root can become another user")
	}
	out := child(t, childVariable+"=user")
	for _, want := range []string{
		"user 65533 65533 65533 65533 [] <nil>\n", "root's file refused\n", "root's folder refused\n",
		"own socket options allowed\n", "raw socket refused\n", "become root again refused\n",
		"CapEff:\t0000000000001000\n", "CapPrm:\t0000000000001000\n", "CapBnd:\t0000000000000000\n", "NoNewPrivs:\t1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
}

// ownsRoot reports whether root here is that of the host, with all users beside it.
func ownsRoot() bool { return strings.Contains(mustRead("/proc/self/uid_map"), "4294967295") }

func TestLookup(t *testing.T) {
	for name, want := range map[string]string{
		"nobody": "user nobody", "64999": "user 64999", "root": "", "0": "", "-5": "", "no such user": "",
	} {
		id, err := Lookup(name)
		if (err == nil) != (want != "") || err == nil && id.String() != want {
			t.Errorf("%q: %v, %v; want %q", name, id, err, want)
		}
	}
}
