package mptcpctl_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// leastSurprises is how many lines the table has at least: none goes unseen.
const leastSurprises = 32

// TestSurprisesAreTested: every test and script in the table of surprises exists.
func TestSurprisesAreTested(t *testing.T) {
	rows := surprises(t)
	if len(rows) < leastSurprises {
		t.Errorf("%d lines in the table, and there were %d", len(rows), leastSurprises)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	tests := make(map[string]map[string]bool)
	for _, row := range rows {
		named := quoted.FindAllStringSubmatch(row.tests, -1)
		if len(named) == 0 {
			t.Errorf("no test: %s", row.surprise)
		}
		for _, name := range named {
			checkNamed(t, tests, name[1])
		}
	}
}

// TestPromisesAreTested: every test that docs/threats.md names exists, and each promise names one.
func TestPromisesAreTested(t *testing.T) {
	text, err := os.ReadFile("docs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([a-z/]+(?:\\.(?:Test|Fuzz)[A-Za-z]+|[a-z-]*\\.txtar))`")
	tests := make(map[string]map[string]bool)
	promises := 0
	for line := range strings.Lines(string(text)) {
		named := quoted.FindAllStringSubmatch(line, -1)
		for _, name := range named {
			checkNamed(t, tests, name[1])
		}
		cells := strings.Split(line, "|")
		if len(cells) != 6 || strings.HasPrefix(cells[1], "--") || cells[4] == " tests " {
			continue
		}
		promises++
		if len(named) == 0 {
			t.Errorf("no test: %s", line)
		}
	}
	if promises < 13 {
		t.Errorf("%d promises", promises)
	}
}

// checkNamed checks that a script, or the test of a folder, exists.
func checkNamed(t *testing.T, tests map[string]map[string]bool, name string) {
	t.Helper()
	if strings.HasSuffix(name, ".txtar") {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
		return
	}
	dir, function, ok := strings.Cut(name, ".")
	if !ok {
		t.Errorf("%s: neither folder.TestName nor a script", name)
		return
	}
	if tests[dir] == nil {
		tests[dir] = testsIn(t, dir)
	}
	if !tests[dir][function] {
		t.Errorf("%s: there is no such test", name)
	}
}

// surprise is a line of the table.
type surprise struct{ surprise, tests string }

// surprises returns the table of CONTRIBUTING.md.
func surprises(t *testing.T) (rows []surprise) {
	t.Helper()
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## What the kernel does that surprises\n")
	if !ok {
		t.Fatal("CONTRIBUTING.md has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 4 || strings.HasPrefix(cells[1], "--") || cells[2] == " tests " {
			continue
		}
		rows = append(rows, surprise{strings.TrimSpace(cells[1]), cells[2]})
	}
	return rows
}

// testsIn returns the names of the tests of a folder.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil &&
				(strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
