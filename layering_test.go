// Package mptcpctl_test holds the tests of the module's structure: who may import
// whom, which packages there are, and that each says what it is for.
package mptcpctl_test

import (
	"bytes"
	"go/build"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "mptcpctl/"

// imports is the table of ARCHITECTURE.md: the packages of this module that each
// may import outside its tests. What is not listed does not exist.
var imports = map[string][]string{
	"mptcp":             {},
	"internal/uapi":     {},
	"internal/kernel":   {},
	"internal/await":    {},
	"internal/thread":   {},
	"internal/proposal": {},
	"internal/grammar":  {"internal/proposal"},
	"internal/pcapng":   {},
	"internal/bpf":      {},
	"internal/nlmsg":    {},
	"internal/pace":     {},
	"internal/poller":   {"internal/pace"},
	"internal/process":  {},
	"pathmanager":       {"mptcp", "internal/uapi", "internal/bpf", "internal/pace", "internal/nlmsg"},
	"sockdiag": {
		"mptcp",
		"internal/thread",
		"internal/kernel",
		"internal/uapi",
		"internal/bpf",
		"internal/nlmsg",
	},
	"counters":             {"mptcp"},
	"internal/owners":      {"mptcp", "internal/bpf"},
	"internal/managers":    {"mptcp", "internal/owners"},
	"internal/confine":     {},
	"internal/opener":      {"internal/confine", "internal/owners"},
	"hostnet":              {"mptcp", "internal/thread", "internal/owners", "internal/nlmsg"},
	"internal/pages":       {},
	"internal/radix":       {},
	"track":                {"mptcp", "ledger", "counters", "hostnet", "track/dump", "internal/pages"},
	"track/dump":           {"mptcp", "internal/pages", "internal/radix"},
	"internal/firewall":    {"internal/uapi", "internal/nlmsg"},
	"doctor/rule":          {},
	"internal/source/look": {"mptcp", "sockdiag", "doctor/slow"},
	"doctor/command":       {"mptcp"},
	"doctor/enter":         {"internal/shell"},
	"doctor/fallback":      {"mptcp", "counters", "track", "doctor/rule"},
	"doctor/slow":          {"mptcp", "sockdiag", "track", "doctor", "doctor/rule", "internal/rate"},
	"doctor": {
		"mptcp",
		"ledger",
		"internal/shell",
		"internal/kernel",
		"track",
		"counters",
		"hostnet",
		"internal/firewall",
		"doctor/rule",
		"doctor/fallback",
		"doctor/command",
		"doctor/enter",
	},
	"doctor/bothends": {
		"mptcp",
		"track",
		"doctor",
		"doctor/rule",
		"hostnet",
		"internal/firewall",
		"internal/match",
		"internal/shell",
	},
	"internal/peer": {
		"doctor",
		"doctor/bothends",
		"internal/bundle",
		"internal/source/gather",
		"internal/source/recording",
	},
	"internal/filter": {"mptcp", "track", "internal/proposal"},

	"internal/source/gather": {"mptcp", "internal/uapi", "sockdiag", "counters", "hostnet", "doctor"},
	"internal/source": {
		"mptcp",
		"track",
		"sockdiag",
		"counters",
		"hostnet",
		"internal/owners",
		"internal/source/gather",
	},
	"internal/source/recording": {
		"mptcp",
		"internal/uapi",
		"internal/nlmsg",
		"track",
		"pathmanager",
		"sockdiag",
		"counters",
		"hostnet",
		"internal/owners",
		"doctor",
		"doctor/fallback",
		"internal/pcapng",
		"internal/source",
		"internal/source/gather",
	},
	"internal/source/live": {
		"mptcp",
		"internal/managers",
		"internal/kernel",
		"internal/uapi",
		"track",
		"pathmanager",
		"sockdiag",
		"counters",
		"hostnet",
		"internal/firewall",
		"internal/owners",
		"doctor",
		"internal/pcapng",
		"internal/source",
		"internal/source/gather",
		"internal/source/recording",
		"internal/pace",
		"internal/poller",
	},

	"internal/story":     {"mptcp", "track"},
	"internal/match":     {"mptcp"},
	"internal/traffic":   {"mptcp", "track"},
	"internal/present":   {"mptcp", "track", "doctor", "doctor/bothends", "doctor/rule", "counters", "hostnet"},
	"internal/chronicle": {"mptcp", "track", "internal/present"},
	"internal/history":   {"internal/chronicle", "internal/private"},
	"internal/netcat":    {"mptcp", "internal/uapi"},
	"internal/probe": {
		"mptcp",
		"internal/uapi",
		"internal/netcat",
		"ledger",
		"track",
		"counters",
		"hostnet",
		"doctor",
		"doctor/fallback",
		"doctor/rule",
		"internal/source/gather",
		"internal/source/live",
		"internal/present",
	},
	"internal/force":  {"mptcp", "internal/uapi", "sockdiag"},
	"internal/policy": {"mptcp"},

	"internal/lab": {
		"mptcp",
		"internal/nlmsg",
		"internal/thread",
		"internal/kernel",
		"internal/uapi",
		"hostnet",
		"internal/owners",
	},
	"internal/lab/scenario":  {"mptcp", "internal/lab", "doctor/rule"},
	"internal/lab/procedure": {"internal/kernel", "internal/lab", "internal/lab/scenario"},
	"internal/lab/labtest":   {"mptcp", "hostnet", "internal/lab"},

	"internal/rate": {"mptcp"},
	"internal/tui": {
		"mptcp",
		"internal/rate",
		"internal/traffic",
		"track",
		"doctor",
		"counters",
		"hostnet",
		"internal/present",
		"internal/story",
		"internal/filter",
	},
	"internal/web": {
		"mptcp",
		"internal/traffic",
		"track",
		"doctor",
		"counters",
		"hostnet",
		"internal/present",
		"internal/story",
		"internal/filter",
	},
	"internal/export":  {"mptcp", "track", "doctor", "counters", "hostnet", "internal/present", "internal/filter"},
	"internal/device":  {},
	"internal/private": {},
	"internal/exit":    {},
	"internal/bundle": {
		"internal/managers",
		"doctor",
		"counters",
		"pathmanager",
		"internal/present",
		"internal/private",
		"internal/source/live",
		"internal/source/recording",
	},
	"ledger": {"mptcp", "internal/kernel", "counters", "hostnet"},

	"internal/compat": {},
	"internal/compat/pmnlctl": {
		"mptcp",
		"pathmanager",
		"internal/pace",
		"internal/uapi",
		"internal/present",
		"internal/compat",
		"internal/exit",
		"internal/device",
		"internal/nlmsg",
	},
	"internal/compat/iproute": {
		"mptcp",
		"pathmanager",
		"internal/grammar",
		"internal/compat",
		"internal/exit",
		"internal/device",
	},

	"internal/policy/apply": {
		"mptcp",
		"internal/managers",
		"track",
		"pathmanager",
		"counters",
		"hostnet",
		"internal/policy",
		"internal/source/live",
		"internal/present",
		"internal/device",
		"internal/private",
	},
	"internal/shell": {},
	"internal/lab/runner": {
		"mptcp",
		"track",
		"internal/lab",
		"internal/lab/scenario",
		"internal/lab/procedure",
		"internal/present",
		"internal/exit",
		"internal/shell",
		"doctor",
		"doctor/rule",
	},
	"internal/monitor": {
		"mptcp",
		"track",
		"pathmanager",
		"internal/source",
		"internal/source/live",
		"internal/source/recording",
		"internal/device",
		"internal/filter",
	},
	"internal/serve": {
		"mptcp",
		"track",
		"sockdiag",
		"doctor",
		"internal/source",
		"internal/source/gather",
		"internal/source/live",
		"internal/source/recording",
		"internal/device",
		"internal/present",
		"internal/web",
		"internal/export",
		"internal/confine",
		"internal/opener",
		"internal/chronicle",
		"internal/history",
		"internal/kernel",
	},

	"internal/features":   {"mptcp", "pathmanager", "sockdiag", "counters", "internal/force", "internal/thread", "internal/uapi"},
	"internal/pathadvice": {"mptcp", "ledger", "counters", "hostnet", "internal/present", "internal/shell"},

	"internal/cli/line": {
		"mptcp",
		"pathmanager",
		"doctor",
		"doctor/slow",
		"sockdiag",
		"internal/source/look",
		"hostnet",
		"internal/source",
		"internal/source/gather",
		"internal/source/live",
		"internal/source/recording",
		"internal/bundle",
		"internal/filter",
		"internal/grammar",
		"internal/present",
	},
	"internal/cli/face": {"internal/grammar"},
	"internal/cli/across": {
		"doctor",
		"doctor/bothends",
		"doctor/rule",
		"internal/bundle",
		"internal/cli/line",
		"internal/grammar",
		"internal/peer",
		"internal/present",
		"internal/source/gather",
	},
	"internal/cli/whole": {
		"mptcp",
		"track",
		"pathmanager",
		"sockdiag",
		"doctor",
		"internal/kernel",
		"internal/source",
		"internal/source/gather",
		"internal/source/live",
		"internal/source/recording",
		"internal/bundle",
		"internal/confine",
		"internal/process",
		"internal/tui",
		"internal/serve",
		"internal/grammar",
		"internal/compat/iproute",
		"internal/cli/line",
		"internal/chronicle",
		"internal/history",
		"internal/exit",
		"internal/filter",
		"internal/present",
		"counters",
	},
	"internal/cli":      {"*"},
	"cmd/mptcpctl":      {"internal/cli"},
	"cmd/mptcpctl-full": {"internal/cli", "internal/cli/whole", "internal/opener"},
}

// forTests are packages that only tests may import.
var forTests = []string{"internal/await", "internal/lab/labtest"}

func TestImportTable(t *testing.T) {
	for _, dir := range packages(t) {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		allowed, listed := imports[dir]
		if !listed {
			t.Errorf("package %s is not in the import table: is there a room for it already?", dir)
			continue
		}
		for _, path := range pkg.Imports {
			local, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			if slices.Contains(forTests, local) && !slices.Contains(forTests, dir) {
				t.Errorf("%s imports %s, which is for tests", dir, local)
			}
			if !slices.Contains(allowed, local) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s: the import table has no such arrow", dir, local)
			}
		}
		if slices.Contains(pkg.Imports, "testing") && !slices.Contains(forTests, dir) {
			t.Errorf("%s imports testing outside its tests", dir)
		}
	}
}

// TestQuickProgram: mptcpctl answers quickly because it does not link what only the
// terminal view and the web server need. An import that brings one of these along would
// cost every command some of its time.
func TestQuickProgram(t *testing.T) {
	heavy := []string{
		"net/http",
		"charm.land/",
		"github.com/prometheus/",
		"github.com/coreos/",
		module + "internal/tui",
		module + "internal/web",
	}
	for _, path := range dependencies(t, "./cmd/mptcpctl") {
		for _, prefix := range heavy {
			if strings.HasPrefix(path, prefix) {
				t.Errorf("cmd/mptcpctl links %s", path)
			}
		}
	}
	whole := dependencies(t, "./cmd/mptcpctl-full")
	for _, path := range []string{"net/http", module + "internal/tui", module + "internal/web"} {
		if !slices.Contains(whole, path) {
			t.Errorf("cmd/mptcpctl-full does not link %s", path)
		}
	}
}

// dependencies returns the packages that are linked into a program.
func dependencies(t *testing.T, program string) []string {
	t.Helper()
	list := exec.Command("go", "list", "-deps", program)
	list.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

// TestGrammarIsKnownToCommands: only the commands, and the programs that we stand in for,
// know how a command line is read. All else can be used without one.
func TestGrammarIsKnownToCommands(t *testing.T) {
	for dir, allowed := range imports {
		knows := slices.Contains(allowed, "internal/grammar")
		if knows && !strings.HasPrefix(dir, "internal/cli/") && !strings.HasPrefix(dir, "internal/compat/") {
			t.Errorf("%s may import internal/grammar", dir)
		}
	}
}

// TestArchitectureNamesEveryPackage: a reader of ARCHITECTURE.md finds a line about every
// package, and about none that is gone.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
			described[name] = true
		}
	}
	for _, dir := range packages(t) {
		if !described[dir] {
			t.Errorf("ARCHITECTURE.md has no line about %s", dir)
		}
		delete(described, dir)
	}
	for name := range described {
		t.Errorf("ARCHITECTURE.md describes %s, which is not there", name)
	}
}

// size is how many files and lines a package has outside tests.
type size struct{ files, lines int }

// most is the size from which a package is to be taken apart.
var most = size{files: 40, lines: 5200}

// larger are the packages that may be larger: the commands are many small things.
var larger = map[string]size{
	"internal/cli": {files: 50, lines: 6200},
}

// TestRoomSizes: a package that has grown too large to be read as one thing is taken
// apart.
func TestRoomSizes(t *testing.T) {
	for _, dir := range packages(t) {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		var is size
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			is.files++
			is.lines += bytes.Count(text, []byte("\n"))
		}
		allowed, listed := larger[dir]
		if !listed {
			allowed = most
		}
		if is.files > allowed.files || is.lines > allowed.lines {
			t.Errorf(
				"%s has %d files with %d lines, and may have %d with %d: take it apart",
				dir,
				is.files,
				is.lines,
				allowed.files,
				allowed.lines,
			)
		}
	}
}

func TestPackageComments(t *testing.T) {
	for _, dir := range packages(t) {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Errorf("%s: %v", dir, err)
			continue
		}
		if pkg.Doc == "" {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestNoNondescriptPackages(t *testing.T) {
	for _, dir := range packages(t) {
		switch name := filepath.Base(dir); name {
		case "util", "utils", "common", "helper", "helpers", "misc", "base", "shared":
			t.Errorf("%s: a name that says nothing; what is it about?", dir)
		}
	}
}

// packages returns the folders below the module's root with Go code outside tests.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == "testdata" || path != "." && strings.HasPrefix(name, ".") || nested(path) {
				return filepath.SkipDir
			}
			return nil
		}
		name := entry.Name()
		dir := filepath.Dir(path)
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// nested reports whether the folder is a module of its own.
func nested(path string) bool {
	if path == "." {
		return false
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}
