package cli

import (
	"bytes"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/grammar"
)

// rows calls f with every row of the table that is not hidden.
func rows(t *testing.T, f func(path string, object, row *grammar.Command)) {
	t.Helper()
	for _, e := range (&app{}).commands() {
		object := e.Build()
		if object.Name != e.Name {
			t.Errorf("entry %q builds the row %q", e.Name, object.Name)
		}
		if object.Hidden {
			continue
		}
		f(object.Name, &object, &object)
		for i := range object.Verbs {
			if v := &object.Verbs[i]; !v.Hidden {
				f(object.Name+" "+v.Name, &object, v)
			}
		}
	}
}

func TestRowsAreComplete(t *testing.T) {
	rows(t, func(path string, object, row *grammar.Command) {
		if row.Summary == "" || strings.HasSuffix(row.Summary, ".") || strings.Contains(row.Summary, "\n") {
			t.Errorf("%s: summary %q: want one line without a full stop", path, row.Summary)
		}
		if row.Run == nil && len(row.Verbs) == 0 {
			t.Errorf("%s: neither Run nor Verbs", path)
		}
		if row.Privilege == "" && object.Privilege == "" {
			t.Errorf("%s: says nothing about privilege", path)
		}
		if len(row.Verbs) == 0 && row.Synopsis == nil {
			t.Errorf("%s: no synopsis", path)
		}
		if row.Default != "" && row.Verb(row.Default) == nil {
			t.Errorf("%s: default verb %q is none", path, row.Default)
		}
	})
}

// TestExamplesParse reads every example of the help texts as a command line.
func TestExamplesParse(t *testing.T) {
	entries := (&app{}).commands()
	rows(t, func(path string, _, row *grammar.Command) {
		for _, e := range row.Examples {
			line, _, _ := strings.Cut(e.Line, " | ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " & ")
			words, err := iproute.SplitWords(line)
			if err != nil {
				t.Errorf("%s: example %q: %v", path, e.Line, err)
				continue
			}
			var o grammar.Options
			rest, err := o.Front(words)
			if err != nil {
				t.Errorf("%s: example %q: %v", path, e.Line, err)
				continue
			}
			inv, err := grammar.Parse(entries, o, rest)
			switch {
			case err != nil:
				t.Errorf("%s: example %q: %v", path, e.Line, err)
			case inv.Path != path && !strings.HasPrefix(inv.Path, path+" "):
				t.Errorf("%s: example %q is of %q", path, e.Line, inv.Path)
			}
			if e.Meaning == "" {
				t.Errorf("%s: example %q has no meaning", path, e.Line)
			}
		}
	})
}

// TestAbbreviations freezes what short forms mean: scripts hold them.
func TestAbbreviations(t *testing.T) {
	entries := (&app{}).commands()
	for line, want := range map[string]string{
		"e": "endpoint show", "en": "endpoint show", "endpoint": "endpoint show",
		"e a": "endpoint add", "e ad": "endpoint add", "e c": "endpoint change", "e d": "endpoint delete",
		"e del": "endpoint delete", "e s": "endpoint show", "e sho": "endpoint show", "e f": "endpoint flush",
		"l": "limits show", "li sh": "limits show", "limits s": "limits set", "l set": "limits set",
		"m": "monitor", "mon": "monitor",
		"c": "connection show", "conn": "connection show", "v": "version", "h": "help",
	} {
		inv, err := grammar.Parse(entries, grammar.Options{}, strings.Fields(line))
		if err != nil || inv.Path != want {
			t.Errorf("%q is %q (%v), want %q", line, inv.Path, err, want)
		}
	}
	for _, line := range []string{"ep", "x", "limit5"} {
		if inv, err := grammar.Parse(entries, grammar.Options{}, []string{line}); err == nil {
			t.Errorf("%q is %q, want an error", line, inv.Path)
		}
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	if got := names[:3]; !slices.Equal(got, []string{"endpoint", "limits", "monitor"}) {
		t.Errorf("the table starts with %q: iproute2's objects must come first, in its order", got)
	}
}

// TestManualPages checks the pages with mandoc where there is one, and always for
// what breaks a page.
func TestManualPages(t *testing.T) {
	a := &app{program: "mptcpctl"}
	var program bytes.Buffer
	if err := grammar.WriteProgramManual(&program, a.manual()); err != nil {
		t.Fatal(err)
	}
	checkManual(t, "mptcpctl", program.String())
	for _, e := range a.commands() {
		row := e.Build()
		var page bytes.Buffer
		if err := grammar.WriteManual(&page, a.manual(), &row); err != nil {
			t.Fatal(err)
		}
		checkManual(t, row.Name, page.String())
	}
}

func checkManual(t *testing.T, name, page string) {
	t.Helper()
	macros := strings.Fields(".Dd .Dt .Os .Sh .Ss .Nm .Nd .Pp .Bl .El .It .Bd .Ed .Dl .Xr")
	open := map[string]int{}
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.TrimRight(line, " ") != line {
			t.Errorf("%s: empty line or blank at the end: %q", name, line)
		}
		if !strings.HasPrefix(line, ".") {
			continue
		}
		macro, _, _ := strings.Cut(line, " ")
		if !slices.Contains(macros, macro) {
			t.Errorf("%s: unknown macro in %q", name, line)
		}
		open[macro]++
	}
	if open[".Bl"] != open[".El"] || open[".Bd"] != open[".Ed"] {
		t.Errorf("%s: lists or displays are not closed: %v", name, open)
	}
	mandoc, err := exec.LookPath("mandoc")
	if err != nil {
		t.Log("without mandoc: not installed")
		return
	}
	cmd := exec.Command(mandoc, "-Tlint", "-Wwarning")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%s: mandoc: %v\n%s", name, err, out)
	}
}

// TestCompletionScripts lets each shell that is installed read its script.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range grammar.Shells() {
		var script bytes.Buffer
		if err := grammar.WriteScript(&script, shell, "mptcpctl"); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(script.String(), "completion words --") || strings.Contains(script.String(), "PROGRAM") {
			t.Errorf("%s: the script does not ask mptcpctl:\n%s", shell, script.String())
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("without %s: not installed", shell)
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = &script
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
