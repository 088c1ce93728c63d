package cli

import (
	"strings"
	"testing"

	"mptcpctl/internal/cli/face"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/policy/apply"
	"mptcpctl/internal/serve"
)

// TestFilterTopic reads the examples as filters, and looks for every term.
func TestFilterTopic(t *testing.T) {
	topic := filterTopic()
	for _, e := range topic.Examples {
		words, err := iproute.SplitWords(e.Line)
		if err != nil {
			t.Errorf("%q: %v", e.Line, err)
			continue
		}
		inv, err := grammar.Parse((&app{}).commands(), grammar.Options{}, words)
		if err != nil {
			t.Errorf("%q: %v", e.Line, err)
			continue
		}
		text, _, _ := strings.Cut(strings.Join(inv.Args, " "), " timeout ")
		if _, err := filter.Parse(text); err != nil {
			t.Errorf("%q: %v", e.Line, err)
		}
	}
	var text strings.Builder
	if err := topic.WriteHelp(&text, "mptcpctl"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"\n  STATE, after state  ", "\n  NAME, after event  ", "\n  NAME, after reason  "} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("%q is missing: a word alone would look like a term", line)
		}
	}
	for _, term := range filter.Terms() {
		if !strings.Contains(text.String(), "\n  "+term.Word) || !strings.Contains(text.String(), term.Meaning) {
			t.Errorf("%s is missing", term.Word)
		}
	}
}

// The help texts are files, so that they cannot name the program's constants: they must agree with them.
func TestHelpTextsNameTheDefaults(t *testing.T) {
	for _, c := range []struct{ text, fact string }{
		{face.Serve(nil).Help, serve.DefaultListen},
		{policyHelp, apply.Directory},
	} {
		if !strings.Contains(strings.ReplaceAll(c.text, "\n", " "), c.fact) {
			t.Errorf("no %s in %q", c.fact, c.text)
		}
	}
}
