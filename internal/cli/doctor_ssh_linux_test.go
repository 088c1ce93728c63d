package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
)

// asPeer runs doctor on the client with an ssh that is the script, and returns what it says.
func asPeer(t *testing.T, client *lab.Host, ssh string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(ssh), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	c := tool(args...)
	c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	lines, code, err := client.RunProcess(ctx, c)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	stdout, stderr = texts(lines)
	return stdout, stderr, code
}

// decidedByTCP returns why the report is not the right one of the scenario plain-server.
func decidedByTCP(out, host string) error {
	var r struct {
		acrossReport
		Hosts []struct {
			Name   string
			Ahead  *float64 `json:"ahead_ms"`
			Within *float64 `json:"within_ms"`
		}
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return err
	}
	if len(r.Hosts) != 2 || r.Hosts[1].Within == nil || r.Hosts[1].Name != host ||
		max(*r.Hosts[1].Ahead, -*r.Hosts[1].Ahead) > *r.Hosts[1].Within {
		return errors.New("the clock, which is the same, differs")
	}
	for _, f := range r.Findings {
		if f.Rule == "D07" && f.Confidence == "certain" && f.Subject.Host == host {
			return nil
		}
	}
	return errors.New("the cause is not decided")
}

// The talk with a host that ssh reaches, where a script stands for ssh: it runs in the
// server's namespace what ssh would run there.
func TestDoctorPeerBySSH(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("nsenter"); err != nil {
		t.Skip("nsenter is missing: ", err)
	}
	trial := trial(t, "plain-server")
	client, server := trial.Lab.Host(lab.ClientHost), trial.Lab.Host(lab.ServerHost)
	there, err := server.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"sleep", "infinity"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	home, tmp := filepath.Dir(toolPath(t)), t.TempDir()
	enter := "#!/bin/sh\nfor last; do :; done\nexport TMPDIR=" + tmp + " PATH=" + home + ":$PATH\n" +
		"exec nsenter --net=/proc/" + strconv.Itoa(there.Pid()) + "/ns/net sh -c \"$last\"\n"
	for _, args := range [][]string{nil, {"--copy"}} {
		out, errs, code := asPeer(t, client, enter, append([]string{"-j", "doctor", "--peer", "ssh:admin@server:22"}, args...)...)
		if err := decidedByTCP(out, "admin@server"); err != nil || code != 1 || errs != "" {
			t.Errorf("%v: exit %d: %v\n%s%s", args, code, err, out, errs)
		}
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left on the host: %v, %v", left, err)
	}
	for _, test := range []struct{ name, ssh, want string }{
		{"no such program", "#!/bin/sh\necho 'sh: mptcpctl: not found' >&2; exit 127\n", "is mptcpctl installed there"},
		{"no such host", "#!/bin/sh\necho 'ssh: Could not resolve hostname' >&2; exit 255\n", "Could not resolve"},
		{"an older version", "#!/bin/sh\necho 'unknown option --facts' >&2; exit 3\n", "the same version"},
		{"it ends in the middle", "#!/bin/sh\necho 'mptcpctl clock 2026-12-01T12:00:00Z'\nexit 1\n", "gave no facts"},
	} {
		_, errs, code := asPeer(t, client, test.ssh, "doctor", "--peer", "ssh:server")
		if code != 3 || !strings.Contains(errs, test.want) {
			t.Errorf("%s: exit %d: %s", test.name, code, errs)
		}
	}
	// Another processor: uname says so before anything is written.
	fake := filepath.Join(home, "uname")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho vax\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, errs, code := asPeer(t, client, enter, "doctor", "--peer", "ssh:server", "--copy")
	if code != 3 || !strings.Contains(errs, "its processor is vax") {
		t.Errorf("another processor: exit %d: %s", code, errs)
	}
}

// The same with OpenSSH's own server, as an ordinary user there. It is that of $SSHD, else
// Debian's.
func TestDoctorPeerByOpenSSH(t *testing.T) {
	t.Parallel()
	sshd := os.Getenv("SSHD")
	if sshd == "" {
		sshd = "/usr/sbin/sshd"
	}
	for _, program := range []string{sshd, "ssh", "ssh-keygen", "unshare", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("a program of OpenSSH or util-linux is missing: ", err)
		}
	}
	trial := trial(t, "plain-server")
	client, server := trial.Lab.Host(lab.ClientHost), trial.Lab.Host(lab.ServerHost)
	dir, home := t.TempDir(), filepath.Dir(toolPath(t))
	for _, name := range []string{"host", "user"} {
		out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name)).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("passwd", "tester:x:1000:1000::/:/bin/sh\n")
	write("config", "Port 2222\nHostKey "+dir+"/host\nAuthorizedKeysFile "+dir+"/user.pub\nStrictModes no\nUsePAM no\n"+
		"PidFile none\nSetEnv PATH="+home+":/usr/bin:/bin\n")
	daemon, err := server.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{
		"unshare", "--mount", "sh", "-c", "mount --bind " + dir + "/passwd /etc/passwd && " +
			"exec unshare --user --map-user=1000 --map-group=1000 " + sshd + " -D -e -f " + dir + "/config",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Close() })
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	config := "#!/bin/sh\nexec " + ssh + " -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null " +
		"-o LogLevel=ERROR -i " + dir + "/user \"$@\"\n"
	address := trial.Scenario.Topology.Paths[0].Destination
	peer := fmt.Sprintf("ssh:tester@%s:2222", address)
	ready := func(l lab.Line) bool { return strings.Contains(l.Text, "listening on") }
	if _, err := daemon.WaitLine(t.Context(), ready); err != nil {
		t.Fatalf("%v: %v", err, daemon.Lines())
	}
	for _, args := range [][]string{nil, {"--copy"}} {
		out, errs, code := asPeer(t, client, config, slices.Concat([]string{"-j", "doctor", "--peer", peer}, args)...)
		if err := decidedByTCP(out, fmt.Sprintf("tester@%s", address)); err != nil || code != 1 || errs != "" {
			t.Errorf("%v: exit %d: %v\n%s%s\n%v", args, code, err, out, errs, daemon.Lines())
		}
	}
}
