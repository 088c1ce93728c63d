package mptcpctl_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rulesPackage is the one place where the ids of doctor's rules are written as digits.
const rulesPackage = "doctor/rule"

// TestRulesAreNamed: code outside tests names a rule of doctor by its constant, so that
// a reader finds the cause where a literal would show a number.
func TestRulesAreNamed(t *testing.T) {
	id := regexp.MustCompile(`^["` + "`" + `]D[0-9]+["` + "`" + `]$`)
	declared := 0
	for path, file := range sources(t) {
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			switch {
			case !ok || lit.Kind != token.STRING || !id.MatchString(lit.Value):
			case filepath.ToSlash(filepath.Dir(path)) == rulesPackage:
				declared++
			default:
				t.Errorf("%s: the literal %s names a rule: use the constant of %s", path, lit.Value, rulesPackage)
			}
			return true
		})
	}
	if declared < 52 {
		t.Errorf("%s declares %d rules", rulesPackage, declared)
	}
}

// sources returns the parsed Go files of the module outside tests, by path.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	parsed := map[string]*ast.File{}
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "testdata" || path != "." && strings.HasPrefix(name, ".") || nested(path) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			parsed[path], err = parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
