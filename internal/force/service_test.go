package force

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServiceDropIn(t *testing.T) {
	const bin = "/usr/bin/mptcpctl"
	tests := []struct {
		name, unit, definition string
		want                   []string // ExecStart lines, or the assignment
		wantErr                string
	}{
		{"socket", "sshd.socket", "", []string{"SocketProtocol=mptcp"}, ""},
		{
			"service", "web.service", "[Unit]\nExecStart=/no\n[Service]\nType=notify\nExecStart=/usr/sbin/web -f\n",
			[]string{"ExecStart=", "ExecStart=/usr/bin/mptcpctl run -- /usr/sbin/web -f"}, "",
		},
		{
			"prefixes and a continued line", "a@b.service", "[Service]\nExecStart=-!/bin/a \\\n# within\n  b\n",
			[]string{"ExecStart=", "ExecStart=-!/usr/bin/mptcpctl run -- /bin/a  b"}, "",
		},
		{
			"reset by a drop-in, and two commands", "a.service",
			"[Service]\nExecStart=/bin/old\n# /etc/x.conf\n[Service]\nExecStart=\nExecStart=/bin/new\nExecStart = " +
				"/bin/newer\n",
			[]string{
				"ExecStart=",
				"ExecStart=/usr/bin/mptcpctl run -- /bin/new",
				"ExecStart=/usr/bin/mptcpctl run -- /bin/newer",
			}, "",
		},
		{"argv[0]", "a.service", "[Service]\nExecStart=@/bin/a b c\n", nil, "another name"},
		{"two in one", "a.service", "[Service]\nExecStart=/bin/a ; /bin/b\n", nil, "more than one"},
		{"twice", "a.service", "[Service]\nExecStart=/usr/bin/mptcpctl run -- /bin/a\n", nil, "already"},
		{"nothing", "a.service", "[Service]\nType=oneshot\n", nil, "no ExecStart"},
		{"timer", "a.timer", "", nil, "only NAME.service"},
		{"path", "../a.service", "", nil, "not the name"},
		{"no stem", ".socket", "", nil, "not the name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := ServiceDropIn(tt.unit, bin, tt.definition)
			if tt.wantErr != "" {
				if !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(d.Text) {
				if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "[") {
					got = append(got, strings.TrimSuffix(line, "\n"))
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
	if _, err := ServiceDropIn("a.service", "mptcpctl", "[Service]\nExecStart=/bin/a\n"); !errors.Is(
		err,
		fs.ErrInvalid,
	) {
		t.Errorf("relative command: %v, want fs.ErrInvalid", err)
	}
}

// TestDropInRound applies a drop-in twice, undoes it, and finds the directory as
// before; files of others are left alone.
func TestDropInRound(t *testing.T) {
	root := t.TempDir()
	d, err := ServiceDropIn("a.socket", "/bin/mptcpctl", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := UndoDropIn(root, d.Unit); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("undo of nothing: %v, want fs.ErrNotExist", err)
	}
	for range 2 {
		if err := d.Apply(root); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(root, d.Path)
	if b, err := os.ReadFile(file); err != nil || string(b) != d.Text {
		t.Fatalf("file %q, %v; want %q", b, err, d.Text)
	}
	if err := UndoDropIn(root, d.Unit); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("after undo: %v, %v; want nothing", left, err)
	}

	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("[Socket]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(root); !errors.Is(err, fs.ErrExist) {
		t.Errorf("apply over another's file: %v, want fs.ErrExist", err)
	}
	if err := UndoDropIn(root, d.Unit); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("undo of another's file: %v, want fs.ErrPermission", err)
	}
}
