package grammar

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// manual is what a manual page may hold that is hard for roff: dots and quotes in front
// of lines, backslashes, words that are macros, indented paragraphs.
func manual() *Manual {
	return &Manual{
		Program: "prog",
		Summary: "a program - of tests",
		Description: "It does two things. The second is `prog nc`.\n\n.Dot and\n'quote begin lines; a \\backslash " +
			"ends one\n\n  kept   as\n  it is",
		Entries:     table(),
		Topics:      []Topic{topic()},
		Date:        time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC),
		ExitCodes:   [][2]string{{"0", "done"}, {"1", "failed"}},
		Environment: [][2]string{{"NO_COLOR", "no colours"}},
		SeeAlso:     []string{"ip-mptcp 8"},
	}
}

func topic() Topic {
	return Topic{
		Name:     "filter",
		Summary:  "the words that pick things",
		Help:     "Words are joined by and.\n\nOthers by or.",
		Title:    "Terms",
		Rows:     [][2]string{{"dst ADDRESS", "an address of the peer"}, {"( ... )", "what is within comes first"}},
		Examples: []Example{{Line: "connection dst \"10.0.0.1\"", Meaning: "connections to one peer"}},
	}
}

// full is a command with all that a row can have.
func full() Command {
	return Command{
		Name: "policy", Summary: "endpoints from a file", Synopsis: []string{"FILE", "--check FILE"},
		Help: strings.Repeat(
			"long words wrap at the edge of the text ",
			4,
		) + "\n\n  policy   # kept as it is\n\nThe end.",
		Privilege: "CAP_NET_ADMIN", Operand: Filter,
		Flags: []Flag{
			{
				Name:    "check",
				Letter:  'n',
				Summary: "change nothing",
			}, {Name: "interval", Value: Duration, Metavar: "TIME", Summary: "how often"},
		},
		Keywords: []Keyword{
			{
				Name:    "dev",
				Value:   Device,
				Summary: "the device",
			}, {Name: "to", Value: Word, Choices: []string{"a", "b"}, Summary: "a choice"},
			{Name: "signal", Summary: "announce"}, {Name: "unsaid", Value: ID},
		},
		Examples: []Example{{Line: "policy /etc/prog.toml", Meaning: "carry the file out"}},
	}
}

// TestTexts compares each help text and manual page with testdata. UPDATE=1 writes it
// anew.
func TestTexts(t *testing.T) {
	command, object, lister, filter := full(), table()[0].Build(), table()[3].Build(), topic()
	for name, write := range map[string]func(io.Writer) error{
		"overview":     func(w io.Writer) error { return WriteOverview(w, "prog", table()) },
		"help-command": func(w io.Writer) error { return command.WriteHelp(w, "prog", "policy") },
		"help-object":  func(w io.Writer) error { return object.WriteHelp(w, "prog", "endpoint") },
		"help-verb": func(w io.Writer) error {
			return object.Inherit(object.Verb("add")).WriteHelp(w, "prog", "endpoint add")
		},
		"help-lister":       func(w io.Writer) error { return lister.WriteHelp(w, "prog", "connection") },
		"help-topic":        func(w io.Writer) error { return filter.WriteHelp(w, "prog") },
		"manual-program":    func(w io.Writer) error { return WriteProgramManual(w, manual()) },
		"manual-command":    func(w io.Writer) error { return WriteManual(w, manual(), &command) },
		"manual-object":     func(w io.Writer) error { return WriteManual(w, manual(), &object) },
		"completion-of-zsh": func(w io.Writer) error { return WriteScript(w, "zsh", "prog") },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".txt")
			if os.Getenv("UPDATE") == "1" {
				if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
			if strings.Contains(b.String(), "secret") {
				t.Error("it has a hidden row")
			}
		})
	}
}

// TestScripts: every shell has a script that names the program, and nothing of ours.
func TestScripts(t *testing.T) {
	for _, shell := range Shells() {
		var b bytes.Buffer
		if err := WriteScript(&b, shell, "prog"); err != nil || b.Len() == 0 ||
			strings.Contains(b.String(), "PROGRAM") {
			t.Errorf("%s: %v, %d bytes", shell, err, b.Len())
		}
	}
	if err := WriteScript(io.Discard, "cmd", "prog"); err == nil || !strings.Contains(err.Error(), "bash, zsh, fish") {
		t.Errorf("another shell: %v", err)
	}
}
