package live

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mptcpctl/hostnet"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/sockdiag"
	"mptcpctl/track"
)

// TestRecordLeavesOutWhatCannotBeRead: a namespace that cannot be read does not end the
// recording of the others, nor what follows their state. It is told once, and again after it
// could be read in between.
func TestRecordLeavesOutWhatCannotBeRead(t *testing.T) {
	own, other := labtest.MPTCP(t), labtest.MPTCP(t)
	process, err := other.StartProcess(t.Context(), lab.ProcessConfig{Args: []string{"sleep", "3600"}})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	proc := t.TempDir()
	for name, target := range map[string]string{
		"thread-self": "/proc/thread-self", strconv.Itoa(process.Pid()): "/proc/" + strconv.Itoa(process.Pid()),
	} {
		if err := os.Symlink(target, filepath.Join(proc, name)); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	r := &recorder{}
	err = own.Do(func() (err error) {
		r.hosts, err = DialAll(t.Context(), &HostsConfig{
			Search: hostnet.NamespaceSearch{Proc: proc, Named: []string{t.TempDir()}}, recorder: r,
			Warn: func(err error) { told = append(told, err.Error()) },
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.hosts.Close()
	members := r.hosts.list()
	if len(members) != 2 {
		t.Fatalf("%d namespaces, want 2: %q", len(members), told)
	}
	broken := members[1]
	round := func(wantDumps, wantTold int) {
		t.Helper()
		told = nil
		dumpers, err := r.dumpAll(t.Context(), 0)
		if err != nil || len(dumpers) != wantDumps {
			t.Errorf("%d namespaces recorded, %v; want %d", len(dumpers), err, wantDumps)
		}
		warnings := 0
		for _, text := range told {
			if strings.Contains(text, "left out until it can be read again") {
				warnings++
			}
		}
		if warnings != wantTold {
			t.Errorf("told %q, want %d warnings", told, wantTold)
		}
	}
	reopen := func() {
		t.Helper()
		err := other.Do(func() (err error) {
			broken.diag, err = sockdiag.Dial(nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	broken.diag.Close()
	round(1, 1)
	round(1, 0)
	reopen()
	round(2, 0)
	broken.diag.Close()
	round(1, 1)

	// The same for the commands that follow all namespaces.
	snapshots := func(wantRead, wantTold int) {
		t.Helper()
		told = nil
		read, err := r.hosts.Snapshots(t.Context())
		unread, _ := errors.AsType[*track.Unread](err)
		if (unread == nil) != (wantRead == 2) || err != nil && unread == nil || len(read) != wantRead ||
			len(told) != wantTold {
			t.Errorf("%d namespaces read, %v, told %q; want %d and %d warnings", len(read), err, told, wantRead, wantTold)
		}
		if unread != nil && !slices.Equal(unread.Netns, []string{broken.netns}) {
			t.Errorf("unread: %q", unread.Netns)
		}
	}
	snapshots(1, 1)
	snapshots(1, 0)
	reopen()
	snapshots(2, 0)
	broken.diag.Close()
	snapshots(1, 1)
	reopen()
}
