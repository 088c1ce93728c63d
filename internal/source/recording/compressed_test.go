package recording

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mptcpctl/internal/pcapng"
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

// A compressed recording is the recording; of one that was cut short there is what came
// before, and one that is damaged is told from one that is no recording.
func TestCompressedRecording(t *testing.T) {
	for name, data := range recordings(t) {
		short := zipped(t, data)
		file := filepath.Join(t.TempDir(), "r.pcapng.gz")
		if err := os.WriteFile(file, short, 0o600); err != nil {
			t.Fatal(err)
		}
		want, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Open(file)
		if err != nil || got.events != want.events || len(got.snapshots) != len(want.snapshots) {
			t.Fatalf("%s: compressed it is another: %v", name, err)
		}
		if err := os.WriteFile(file, short[:40], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(file); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "cut short") {
			t.Errorf("%s, the first bytes: %v", name, err)
		}
		if got.Truncated() {
			t.Errorf("%s: whole, and said to be cut short", name)
		}
		testCutShort(t, name, file, data)
		short[len(short)-6] ^= 1 // the checksum
		if _, _, err := readBounded(bytes.NewReader(short), largestRecording); !errors.Is(err, gzip.ErrChecksum) {
			t.Errorf("%s, damaged: %v", name, err)
		}
	}
	large := pcapng.AppendSection(nil, pcapng.Section{})
	large = pcapng.AppendInterface(large, pcapng.Interface{LinkType: pcapng.LinkTypeUser0})
	large = pcapng.AppendPacket(large, pcapng.Packet{Data: make([]byte, 3<<20), Time: time.Unix(0, 0)})
	bomb := zipped(t, large)
	if _, _, err := readBounded(bytes.NewReader(bomb), 2<<20); err == nil ||
		!strings.Contains(err.Error(), "larger than 2 MiB") {
		t.Errorf("%d bytes that become too many: %v", len(bomb), err)
	}
}

// testCutShort cuts a recording that was compressed piece by piece: what was written
// before is there, as it is of one that was not compressed.
func testCutShort(t *testing.T, name, file string, data []byte) {
	t.Helper()
	const pieces = 8
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for i := range pieces {
		if _, err := w.Write(data[i*len(data)/pieces : (i+1)*len(data)/pieces]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		want, err := Parse(data[:(i+1)*len(data)/pieces])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Open(file)
		if err != nil || !got.Truncated() || got.events != want.events || len(got.snapshots) != len(want.snapshots) {
			t.Errorf("%s, after %d of %d pieces: %v", name, i+1, pieces, err)
		}
	}
}
