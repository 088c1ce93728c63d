package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func aRun() *document {
	good, bad := newReport("Good"), newReport("Bad")
	good.table("ms", "").add("", "ours", 1)
	good.goal(goal{what: "speed", bound: 2, unit: " ms", measured: spreadOf([]float64{1})})
	bad.goal(goal{what: "memory", bound: 2, unit: " MB"})
	bad.end(noise{others: 0.5, load: "3 2 1"}, errors.New("out of luck"))
	return &document{head: "Head.", reports: []*report{good, bad}}
}

func TestDocumentBetweenMarkers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(name, []byte("before\n"+beginMarker+"\nold\n"+endMarker+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second finds what the first wrote
		if err := aRun().write(name); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if want := "before\n" + beginMarker + "\n\n" + aRun().String() + "\n" + endMarker + "\nafter\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, part := range []string{
		"| speed | at most 2.00 ms | 1.00 | met |", "| memory | at most 2.00 MB | — | not measured |",
		"| Bad | to run |  | **failed** |", "1 of 3 met.",
		"**This section failed:** out of luck", "other work on 50 % of the processors: **noisy**",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is missing in\n%s", part, got)
		}
	}
}

func TestDocumentNew(t *testing.T) {
	name := filepath.Join(t.TempDir(), "page.md")
	if err := checkDocument(name, false); err != nil {
		t.Error(err)
	}
	if err := aRun().write(name); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != aRun().String() {
		t.Errorf("%s, %v", text, err)
	}
	if err := checkDocument(name, true); err == nil {
		t.Error("a file without markers may be overwritten")
	}
}

// TestPage checks that the project's page can be written, by a whole run only.
func TestPage(t *testing.T) {
	const page = "../docs/performance.md"
	if err := checkDocument(page, true); err != nil {
		t.Error(err)
	}
	if err := checkDocument(page, false); err == nil {
		t.Error("some sections may replace a whole run")
	}
}
