package mptcpctl_test

import (
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// mostColumns is how many columns a line may have; a tab counts as four.
const mostColumns = 120

// TestLinesFitOnAScreen: no line of code is wider than a screen. Tests are left out: a row
// of a table shows what goes in beside what comes out.
func TestLinesFitOnAScreen(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "*.go", "*.js", "*.css").Output()
	if err != nil {
		t.Skip("git does not list the files: ", err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // removed, and not committed yet
		} else if err != nil {
			t.Fatal(err)
		}
		literal := rawLiterals(name, text)
		for i, line := range strings.Split(string(text), "\n") {
			columns := utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
			if columns > mostColumns && !literal[i+1] {
				t.Errorf("%s:%d has %d columns, and may have %d", name, i+1, columns, mostColumns)
			}
		}
	}
}

// rawLiterals returns the lines of a Go file that are in raw strings, which show what
// programs print.
func rawLiterals(name string, text []byte) map[int]bool {
	lines := map[int]bool{}
	if !strings.HasSuffix(name, ".go") {
		return lines
	}
	var s scanner.Scanner
	file := token.NewFileSet().AddFile(name, -1, len(text))
	s.Init(file, text, nil, 0)
	for {
		position, kind, literal := s.Scan()
		if kind == token.EOF {
			return lines
		}
		if kind == token.STRING && strings.HasPrefix(literal, "`") {
			for i := range strings.Count(literal, "\n") + 1 {
				lines[file.Line(position)+i] = true
			}
		}
	}
}
