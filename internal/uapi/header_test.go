package uapi_test

import (
	"bufio"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"
)

// headers are the kernel's headers that a Debian system with a C compiler has.
var headers = []string{
	"/usr/include/linux/mptcp.h",
	"/usr/include/linux/mptcp_pm.h",
	"/usr/include/linux/inet_diag.h",
	"/usr/include/linux/sock_diag.h",
	"/usr/include/linux/netlink.h",
	"/usr/include/linux/netfilter.h",
	"/usr/include/linux/netfilter/nf_tables.h",
	"/usr/include/linux/netfilter/nf_tables_compat.h",
}

// TestConstantsMatchHeaders compares every constant that names its kernel name
// with the headers of this machine. An older header may know fewer names, never
// other values.
func TestConstantsMatchHeaders(t *testing.T) {
	known := map[string]int64{}
	for _, path := range headers {
		readHeader(t, path, known)
	}
	if len(known) == 0 {
		labtest.Skip(t, "this machine has no kernel headers (package linux-libc-dev)")
	}
	compared := 0
	for name, value := range constants(t) {
		want, ok := known[name]
		if !ok {
			continue
		}
		compared++
		if value != want {
			t.Errorf("%s = %d, the header says %d", name, value, want)
		}
	}
	if compared < 60 {
		t.Errorf("compared %d constants only: do the comments still give the kernel's names?", compared)
	}
	t.Logf("%d constants agree with the headers", compared)
}

var kernelName = regexp.MustCompile(`^([A-Z][A-Z0-9_]{3,})\b`)

// constants returns this package's integer constants by the kernel name that
// starts the comment on their line.
func constants(t *testing.T) map[string]int64 {
	t.Helper()
	fset := token.NewFileSet()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: importer.Default()}
	if _, err := config.Check("uapi", fset, files, info); err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for _, file := range files {
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok || spec.Comment == nil {
				return true
			}
			name := kernelName.FindString(strings.TrimSpace(spec.Comment.Text()))
			object, ok := info.Defs[spec.Names[0]].(*types.Const)
			if name == "" || !ok || object.Val().Kind() != constant.Int {
				return true
			}
			value, _ := constant.Int64Val(object.Val())
			found[name] = value
			return true
		})
	}
	return found
}

var (
	define  = regexp.MustCompile(`^#define\s+(\w+)\s+(0x[0-9a-fA-F]+|\d+)\s*(?:/\*|$)`)
	defBit  = regexp.MustCompile(`^#define\s+(\w+)\s+(?:_BITUL\((\d+)\)|\(1 << (\d+)\))`)
	member  = regexp.MustCompile(`^\s+(\w+)(?:\s*=\s*(\d+))?\s*,`)
	lastone = regexp.MustCompile(`^\s+(\w+)\s*$`)
)

// readHeader adds the plain constants and enumerators of a C header.
func readHeader(t *testing.T, path string, known map[string]int64) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer file.Close()
	inEnum, next := false, int64(0)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "enum"):
			inEnum, next = true, 0
		case strings.HasPrefix(line, "}"):
			inEnum = false
		}
		if m := define.FindStringSubmatch(line); m != nil {
			known[m[1]] = number(t, m[2])
		} else if m := defBit.FindStringSubmatch(line); m != nil {
			known[m[1]] = 1 << number(t, m[2]+m[3])
		} else if m := member.FindStringSubmatch(line); inEnum && m != nil {
			if m[2] != "" {
				next = number(t, m[2])
			}
			known[m[1]] = next
			next++
		} else if m := lastone.FindStringSubmatch(line); inEnum && m != nil {
			known[m[1]] = next
		}
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	value, exact := constant.Int64Val(constant.MakeFromLiteral(s, token.INT, 0))
	if !exact {
		t.Fatalf("not a number: %q", s)
	}
	return value
}
