package sockdiag

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mptcpctl/internal/uapi"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"
)

// A recording is a txtar file: meta (kernel, architecture), raw.hex (the payload of
// each message, one a line) and want.json (what they mean). Record those of the
// running kernel with UPDATE=1.

// recordings returns the files with recorded rows of a kind.
func recordings(t testing.TB, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/" + kind + "s.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded %ss: %v", kind, err)
	}
	return files
}

// section returns a part of a recording.
func section(t testing.TB, a *txtar.Archive, name string) []byte {
	t.Helper()
	for _, f := range a.Files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("no %s", name)
	return nil
}

// payloads returns the messages of a recording.
func payloads(t testing.TB, file string) [][]byte {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	for line := range strings.Lines(string(section(t, archive, "raw.hex"))) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// littleEndian reports whether this machine is like those that recorded.
func littleEndian() bool { return binary.NativeEndian.Uint16([]byte{1, 0}) == 1 }

// addRecorded seeds a fuzz test with recorded rows.
func addRecorded(f *testing.F, kind string) {
	for _, file := range recordings(f, kind) {
		for _, b := range payloads(f, file) {
			f.Add(b)
		}
	}
}

// decodeAll returns the meaning of recorded messages as indented JSON.
func decodeAll[T any](t testing.TB, messages [][]byte, decode func([]byte, *T) error) []byte {
	t.Helper()
	rows := make([]T, len(messages))
	for i, b := range messages {
		if err := decode(b, &rows[i]); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func TestRecordedRows(t *testing.T) {
	if !littleEndian() {
		t.Skip("the recordings are from little-endian machines")
	}
	check := func(kind string, decode func(t testing.TB, messages [][]byte) []byte) {
		for _, file := range recordings(t, kind) {
			t.Run(file, func(t *testing.T) {
				archive, err := txtar.ParseFile(file)
				if err != nil {
					t.Fatal(err)
				}
				want := string(section(t, archive, "want.json"))
				got := string(decode(t, payloads(t, file)))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	check("connection", func(t testing.TB, m [][]byte) []byte { return decodeAll(t, m, DecodeConnection) })
	check("subflow", func(t testing.TB, m [][]byte) []byte { return decodeAll(t, m, DecodeSubflow) })
}

// TestRecord records rows of the running kernel where UPDATE=1 is set; else it
// makes sure that a recording could be made.
func TestRecord(t *testing.T) {
	var messages [][]byte
	var asked uint32
	w := newWorld(t, &Config{Tap: func(protocol uint32, datagram []byte) {
		asked = protocol
		for payload := range Payloads(datagram) {
			messages = append(messages, bytes.Clone(payload))
		}
	}})
	w.addEndpoint("127.0.0.2", 7)
	four := w.listen("tcp4", "127.0.0.1:0", true)
	six := w.listen("tcp", "[::]:0", true)
	plain := w.listen("tcp4", "127.0.0.1:0", false)
	client, _ := w.pair(four, "tcp4", four.Addr().String(), true)
	w.pair(six, "tcp6", fmt.Sprintf("[::1]:%d", addrPort(six.Addr()).Port()), true)
	w.pair(six, "tcp4", fmt.Sprintf("127.0.0.1:%d", addrPort(six.Addr()).Port()), true) // a mapped server
	w.pair(plain, "tcp4", plain.Addr().String(), true)                                  // falls back
	w.waitSubflows(w.connection(client.LocalAddr()).Info.Token, 2)

	messages = nil
	connections := collect(t, w.client.Connections(t.Context(), &Request{States: AllStates}))
	if len(messages) != len(connections) || asked != uapi.IPPROTO_MPTCP {
		t.Errorf("%d messages of protocol %d were tapped, %d rows listed", len(messages), asked, len(connections))
	}
	record(t, "connection", messages, decodeAll(t, messages, DecodeConnection))
	messages = nil
	subflows := collect(t, w.client.Subflows(t.Context(), &Request{States: AllStates, AllTCP: true}))
	if len(messages) != len(subflows) || asked != unix.IPPROTO_TCP {
		t.Errorf("%d messages of protocol %d were tapped, %d rows listed", len(messages), asked, len(subflows))
	}
	record(t, "subflow", messages, decodeAll(t, messages, DecodeSubflow))
}

// record writes a recording where UPDATE=1 is set.
func record(t *testing.T, kind string, messages [][]byte, want []byte) {
	t.Helper()
	if os.Getenv("UPDATE") != "1" {
		return
	}
	var uts unix.Utsname
	if err := unix.Uname(&uts); err != nil {
		t.Fatal(err)
	}
	release := unix.ByteSliceToString(uts.Release[:])
	var raw bytes.Buffer
	for _, b := range messages {
		fmt.Fprintf(&raw, "%x\n", b)
	}
	major, rest, _ := strings.Cut(release, ".")
	minor, patch, _ := strings.Cut(rest, ".")
	number, _, _ := strings.Cut(patch, "-")
	meta := fmt.Sprintf("kernel %s.%s.%s\narch %s\n", major, minor, number, unix.ByteSliceToString(uts.Machine[:]))
	dir := filepath.Join("testdata", major+"."+minor)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	archive := &txtar.Archive{Files: []txtar.File{
		{Name: "meta", Data: []byte(meta)}, {Name: "raw.hex", Data: raw.Bytes()}, {Name: "want.json", Data: want},
	}}
	if err := os.WriteFile(filepath.Join(dir, kind+"s.txtar"), txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
