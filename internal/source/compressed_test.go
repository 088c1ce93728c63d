package source

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A compressed recording is the recording; one that is cut short or damaged is told
// from one that is no recording.
func TestCompressedRecording(t *testing.T) {
	for name, data := range recordings(t) {
		short := zipped(t, data)
		file := filepath.Join(t.TempDir(), "r.pcapng.gz")
		if err := os.WriteFile(file, short, 0o600); err != nil {
			t.Fatal(err)
		}
		want, err := ParseRecording(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenRecording(file)
		if err != nil || got.events != want.events || len(got.snapshots) != len(want.snapshots) {
			t.Fatalf("%s: compressed it is another: %v", name, err)
		}
		if err := os.WriteFile(file, short[:len(short)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenRecording(file); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s, half of it: %v", name, err)
		}
		short[len(short)-6] ^= 1 // the checksum
		if _, err := readBounded(bytes.NewReader(short), largestRecording); !errors.Is(err, gzip.ErrChecksum) {
			t.Errorf("%s, damaged: %v", name, err)
		}
	}
	bomb := zipped(t, make([]byte, 3<<20))
	if _, err := readBounded(bytes.NewReader(bomb), 2<<20); err == nil || !strings.Contains(err.Error(), "larger than 2 MiB") {
		t.Errorf("%d bytes that become too many: %v", len(bomb), err)
	}
}
