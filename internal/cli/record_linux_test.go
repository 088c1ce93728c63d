package cli

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/source/recording"
)

// A recording is compressed where its name says so. What is left of it when the
// recorder is killed is good, too.
func TestRecordCompressed(t *testing.T) {
	t.Parallel()
	ns := labtest.MPTCP(t)
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	file := filepath.Join(t.TempDir(), "r.pcapng.gz")
	begin := func() *recorder {
		p := started(t, ns, tool("record", file, "every", "100ms"))
		await.True(t, "the first dump", func() bool {
			r, err := recording.Open(file)
			if err != nil {
				return false
			}
			for range r.States() {
				return true
			}
			return false
		})
		return &recorder{file, p}
	}
	replayed := func(warned bool) {
		t.Helper()
		stdout, stderr, code := ran(t, ns, tool("--replay", file, "limits"))
		if code != 0 || !strings.HasPrefix(stdout, "add_addr_accepted ") ||
			strings.Contains(stderr, "only what came before it is shown") != warned {
			t.Errorf("replayed: exit code %d, %q, %q", code, stdout, stderr)
		}
	}

	r := begin()
	if err := r.process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := r.process.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	replayed(true)

	if err := os.Remove(file); err != nil { // else the next one's first dump would be there already
		t.Fatal(err)
	}
	begin().stop(t, ctx)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if whole, err := io.ReadAll(zip); err != nil || len(whole) <= len(data) {
		t.Errorf("%d bytes of %d: %v", len(whole), len(data), err)
	}
	replayed(false)
}
