package present

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"mptcpctl/mptcp"
)

// hostileName has one of each kind of character that terminals act on.
const hostileName = "a\u009b31m\u007f\u202e\u2066\u200b\u2028\U000E0001\x1b]0;\"\\\u00e4"

// rawControls reports whether the text has any of them as they are.
func rawControls(text []byte) bool {
	for _, r := range string(text) {
		if r != '\n' && isControl(r) {
			return true
		}
	}
	return false
}

func TestJSONHasNoRawControls(t *testing.T) {
	connection := mptcp.Connection{Netns: hostileName, Processes: []mptcp.Process{{PID: 1, Name: hostileName}}}
	outputs := map[string]func(*bytes.Buffer) error{
		"value":      func(b *bytes.Buffer) error { return JSON(b, []string{hostileName}, false) },
		"pretty":     func(b *bytes.Buffer) error { return JSON(b, map[string]string{hostileName: hostileName}, true) },
		"connection": func(b *bytes.Buffer) error { return ConnectionsJSON(b, []mptcp.Connection{connection}, true) },
		"event": func(b *bytes.Buffer) error {
			format := &EventJSON{Device: func(int32) string { return hostileName }}
			_, err := b.Write(format.Append(nil, &mptcp.Event{
				Type: mptcp.EventCreated, Netns: hostileName, Fields: mptcp.FieldIfIndex, IfIndex: 1,
			}))
			return err
		},
	}
	for name, write := range outputs {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(name, err)
		}
		var value any
		if err := json.Unmarshal(b.Bytes(), &value); err != nil {
			t.Errorf("%s: %v in %s", name, err, b.Bytes())
		}
		if rawControls(b.Bytes()) {
			t.Errorf("%s: %q", name, b.Bytes())
		}
		again, err := json.Marshal(value)
		if err != nil || !strings.Contains(string(again), "31m") {
			t.Errorf("%s: the name is lost in %s", name, b.Bytes())
		}
	}
}

// FuzzEscapeJSON: the text says the same, has no control character but those that were
// there between its values, and is not escaped twice.
func FuzzEscapeJSON(f *testing.F) {
	f.Add(hostileName)
	f.Add("plain")
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(map[string]string{"k": s})
		if err != nil {
			t.Fatal(err)
		}
		got := EscapeJSON(text)
		var want, value map[string]string
		if json.Unmarshal(text, &want) != nil || json.Unmarshal(got, &value) != nil || value["k"] != want["k"] {
			t.Fatalf("%q became %q", text, got)
		}
		if rawControls(got) || !bytes.Equal(EscapeJSON(got), got) {
			t.Fatalf("%q", got)
		}
	})
}

func TestEscapeControls(t *testing.T) {
	for text, want := range map[string]string{
		"eth0": "eth0", "a\nb\\": "a\nb\\", "\x1b[31m": `\x1b[31m`, "\u009b": `\u009b`, "\u202e": `\u202e`, "\x7f": `\x7f`,
	} {
		if got := EscapeControls(text); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
