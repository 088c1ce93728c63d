package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// hostileHistory writes a history whose texts are all meant for a terminal, and lines that
// are none.
func hostileHistory(t *testing.T) (folder string) {
	t.Helper()
	const at = `"t":"2026-12-01T03:00:00Z"`
	const evil = `\u001b]0;evil\u0007\u202e\u009b2J`
	lines := []string{
		`{"seq":1,` + at + `,"kind":"begin","begin":{"schema":1,"host":"` + evil + `","run":"r","kernel":"` + evil +
			`","program":"` + evil + `","no_events":"` + evil + `"}}`,
		`{"seq":2,` + at + `,"kind":"host","host":{"netns":"` + evil + `","path_manager":"` + evil +
			`","endpoints":[{"id":1,"address":"10.0.0.1","flags":["` + evil + `"],"dev":"` + evil + `"}],"links":[{"index":1,"name":"` +
			evil + `"}],"addresses":[{"address":"fe80::1%` + evil + `","link":1}],"listeners":["` + evil + `"]}}`,
		`{"seq":3,` + at + `,"kind":"event","event":{"event":"CREATED","token":"00000005","saddr4":"10.0.0.1","daddr4":"10.0.0.2",` +
			`"sport":1,"dport":2,"ifindex":3,"dev":"` + evil + `","netns":"` + evil + `","time":"2026-12-01T03:00:00Z"}}`,
		`{"seq":4,` + at + `,"kind":"event","event":` + "\t\r" + `{"event":"FALLBACK","derived":true,"token":"00000005","cause":"` + evil +
			`","evidence":["` + evil + `"],"time":"2026-12-01T03:00:00Z"}}`,
		`{"seq":5,` + at + `,"kind":"connection","connection":{"change":"` + evil + `","connection":{"token":"00000005","netns":"` + evil +
			`","fallback":true,"fallback_cause":"` + evil + `","subflows":[{"device":"` + evil + `","local":"[fe80::1%` + evil +
			`]:5","remote":"10.0.0.2:2"}],"processes":[{"pid":1,"name":"` + evil + `"}]}}}`,
		`{"seq":6,` + at + `,"kind":"connection","connection":{"change":"ended","how":"` + evil + `","trouble":["` + evil +
			`"],"closed_subflows":[{"device":"` + evil + `"}],"connection":{"token":"00000005","netns":"` + evil +
			`","processes":[{"pid":1,"name":"` + evil + `"}]}}}`,
		`{"seq":7,` + at + `,"kind":"finding","finding":{"change":"came","rule":"` + evil + `","severity":"fail","confidence":"certain","title":"` +
			evil + `","subject":{"device":"` + evil + `"},"evidence":["` + evil + `"],"fix":["` + evil + `"]}}`,
		`{"seq":8,` + at + `,"kind":"counters","counters":{"netns":"` + evil + `","moved":{"` + evil + `":5}}}`,
		`{"seq":9,` + at + `,"kind":"lost","lost":{"lines":3,"where":"x` + "\u009b" + `"}}`,
		`{"seq":12,` + at + `,"kind":"event","event":{"event":"` + strings.Repeat("x", 9<<20) + `"}}`,
		"\x1b[2J", `{"seq":`, strings.Repeat("[", 1<<20), `{"seq":13,` + at + `,"kind":"figures","figures":[[]]}`,
	}
	folder = t.TempDir()
	text := []byte(strings.Join(lines, "\n") + "\n")
	if err := os.WriteFile(filepath.Join(folder, "20261201T030000Z-0000000000000001.jsonl"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestHostileHistory shows a history that somebody else wrote: nothing that a terminal acts
// on comes out, and nothing fails hard.
func TestHostileHistory(t *testing.T) {
	t.Setenv("MPTCPCTL_HISTORY", hostileHistory(t))
	for _, args := range [][]string{
		{"history"}, {"-j", "history"}, {"history", "show", "00000005"}, {"-j", "history", "show", "00000005"},
		{"history", "diff", "2026-12-01T02:59:59.5Z", "2026-12-01T04:00Z"}, {"history", "diff", "2026-12-01T03:00Z", "now"},
		{"--at", "2026-12-01T03:00:00Z", "connection"}, {"-j", "--at", "now", "connection"}, {"--at", "now", "endpoint"},
		{"-j", "--at", "now", "endpoint"}, {"--at", "now", "limits"}, {"--at", "now", "counters"},
		{"-j", "--at", "now", "counters"}, {"--at", "now", "doctor"}, {"-j", "--at", "now", "doctor"},
		{"doctor", "since", "2026-11-30"}, {"history", "verify"}, {"history", "side", "client"},
	} {
		var out, errs bytes.Buffer
		code := Main(append([]string{"mptcpctl"}, args...), Streams{Stdin: &bytes.Buffer{}, Stdout: &out, Stderr: &errs}, testFaces())
		for name, text := range map[string]string{"output": out.String(), "complaints": errs.String()} {
			for _, r := range text {
				if r != '\n' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)) {
					t.Errorf("%v: %U in its %s, exit %d:\n%.600q", args, r, name, code, text)
					break
				}
			}
		}
		if out.Len() == 0 && errs.Len() == 0 && args[0] != "history" {
			t.Errorf("%v: it says nothing", args)
		}
	}
}
