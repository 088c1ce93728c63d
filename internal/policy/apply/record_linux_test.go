package apply

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/policy"
	"mptcpctl/internal/private"
	"mptcpctl/mptcp"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// made is a record with one endpoint.
func made() *policy.State {
	return &policy.State{
		Endpoints: []mptcp.Endpoint{{ID: 1, Address: netip.MustParseAddr("10.99.1.1"), Flags: mptcp.FlagSubflow}},
	}
}

// in does something with the record of a namespace.
func in(t *testing.T, ns *lab.Namespace, directory string, do func(*recordFile) error) {
	t.Helper()
	err := ns.Do(func() error {
		r, err := newRecordFile(directory)
		if err != nil {
			return err
		}
		defer r.close()
		return do(r)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func saved(r *recordFile) error {
	if err := r.lock(); err != nil {
		return err
	}
	return r.save(made())
}

// TestRecordOfAnotherNamespaceWithTheInode: the kernel gives the inode of a namespace
// that has gone to a new one, as a rule to the next. Its endpoints are not the policy's.
func TestRecordOfAnotherNamespaceWithTheInode(t *testing.T) {
	labtest.MPTCP(t)
	if _, err := namespaceCookie(); err != nil {
		labtest.Skip(t, "a network namespace has no cookie before Linux 5.14: %v", err)
	}
	directory := filepath.Join(t.TempDir(), "state")
	inodes := map[string]bool{}
	again := 0
	for range 200 {
		ns, err := lab.NewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		in(t, ns, directory, func(r *recordFile) error {
			if inodes[r.inode] {
				again++
			}
			inodes[r.inode] = true
			if s, err := r.load(); err != nil || len(s.Endpoints) > 0 {
				return fmt.Errorf("a new namespace has the record %+v, %w", s, err)
			}
			if err := saved(r); err != nil {
				return err
			}
			// As an earlier release would have written it.
			return r.folder.Replace(r.inode, []byte(`{"endpoints":[{"id":1,"address":"10.99.1.1"}]}`), 0o644)
		})
		ns.Close()
		if again > 0 {
			return
		}
	}
	t.Skip("no inode came twice")
}

func TestRecordIsFoundAgain(t *testing.T) {
	ns := labtest.Namespace(t)
	directory := filepath.Join(t.TempDir(), "state")
	in(t, ns, directory, saved)
	in(t, ns, directory, func(r *recordFile) error {
		s, err := r.load()
		if err == nil && (len(s.Endpoints) != 1 || !s.Owns(made().Endpoints[0])) {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
}

// TestRecordOfAnEarlierBoot: the endpoints went with it.
func TestRecordOfAnEarlierBoot(t *testing.T) {
	ns := labtest.Namespace(t)
	directory := filepath.Join(t.TempDir(), "state")
	in(t, ns, directory, func(r *recordFile) error {
		text, err := json.Marshal(recorded{State: *made(), Boot: "another"})
		if err = errors.Join(err, r.lock()); err != nil {
			return err
		}
		if err := r.folder.Replace(r.name, text, 0o644); err != nil {
			return err
		}
		if s, err := r.load(); err != nil || len(s.Endpoints) > 0 {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
}

// TestStateInAFolderOfOthers: nothing is written through a link, and the record of
// somebody else is not believed.
func TestStateInAFolderOfOthers(t *testing.T) {
	ns := labtest.Namespace(t)
	dir := t.TempDir()
	victim, directory := filepath.Join(dir, "victim"), filepath.Join(dir, "state")
	if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), os.Mkdir(directory, 0o755)); err != nil {
		t.Fatal(err)
	}
	in(t, ns, directory, func(r *recordFile) error {
		for _, name := range []string{r.name + ".new", r.name} {
			if err := os.Symlink(victim, filepath.Join(directory, name)); err != nil {
				return err
			}
		}
		if _, err := r.load(); !errors.Is(err, private.ErrForeign) {
			return fmt.Errorf("read through a link: %w", err)
		}
		if err := saved(r); err != nil {
			return err
		}
		if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
			return fmt.Errorf("written through a link: %q, %w", text, err)
		}
		return nil
	})
	in(t, ns, directory, func(r *recordFile) error {
		if err := os.Chmod(directory, 0o777); err != nil {
			return err
		}
		if _, err := r.load(); !errors.Is(err, private.ErrForeign) {
			return fmt.Errorf("believed, where anybody may write: %w", err)
		}
		if err := r.lock(); !errors.Is(err, private.ErrForeign) {
			return fmt.Errorf("written, where anybody may write: %w", err)
		}
		return nil
	})
}
