package mptcpctl_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shared are things that several packages need, each with its one home and with what
// a second copy of it would look like.
var shared = []struct {
	what string
	home string // folder, or file
	copy *regexp.Regexp
	also []string // files that may have it, each because of another purpose
}{
	{
		what: "walking over netlink messages and attributes, and appending them", home: "internal/nlmsg",
		copy: regexp.MustCompile(`0x3fff|1<<14 ?- ?1|\+ ?3\) ?&\^ ?3|` +
			`func (\([^)]*\) )?(next|each|append|Next|Each|Append)(Attr|Attributes?|Nested|Message)\(`),
		also: []string{
			"internal/pcapng/parse.go", "internal/firewall/machine.go", // pad other things to four bytes
			"sockdiag/dump_bench_test.go", // the least that a dump can cost
		},
	},
	{
		what: "the kernel's release", home: "internal/kernel",
		copy: regexp.MustCompile(`\bUname\(|/proc/sys/kernel/osrelease`),
		also: []string{"sockdiag/recorded_test.go"}, // names the machine as well
	},
	{
		what: "the device of an endpoint", home: "mptcp/endpoint.go",
		copy: regexp.MustCompile(`func (\([^)]*\) )?(deviceOf|endpointDevice|DeviceIndex)\(`),
	},
	{
		what: "quoting for a shell", home: "internal/shell",
		copy: regexp.MustCompile("`'\\\\''`"), // how a quote stands between quotes
	},
	{
		what: "entering a network namespace", home: "internal/thread",
		copy: regexp.MustCompile(`\bSetns\(|LockOSThread\(\)\s*\n\s*if unix\.Gettid`),
		also: []string{
			"internal/force/caller_linux.go",
		}, // its thread goes back and forth, and knows namespaces by number
	},
	{
		what: "waiting in a test until something holds", home: "internal/await",
		copy: regexp.MustCompile(
			`func \w+\(t (\*testing\.T|testing\.TB), (what string, )?\w+ func\(\) (bool|error)\) \{\n\tt\.Helper`,
		),
	},
	{
		what: "giving a snapshot's sockets their processes", home: "internal/source/gather",
		copy: regexp.MustCompile(`\.Processes = [\w.]+\[[^\]]*Inode\]`),
		also: []string{"track/state.go"}, // states are read by many, and get them one connection at a time
	},
	{
		what: "which programs manage endpoints", home: "internal/managers",
		copy: regexp.MustCompile(`= "mptcpd"|"mptcpd": "`),
		also: []string{"doctor/host.go", "internal/bundle/anonymise_test.go"}, // each is about one of them
	},
	{
		what: "whether the path manager creates subflows from an endpoint", home: "mptcp/endpoint.go",
		copy: regexp.MustCompile(`Has\((mptcp\.)?FlagSubflow\)|& ?mptcp\.FlagSubflow\b|&\(mptcp\.FlagSubflow\b`),
		also: []string{"internal/policy/file.go", "pathmanager/endpoint_test.go"}, // which flags may be combined
	},
	{
		what: "whether an announced address gets a subflow from an endpoint", home: "mptcp/endpoint.go",
		copy: regexp.MustCompile(`FlagFullmesh ?\| ?(mptcp\.)?FlagLaminar`),
		also: []string{"doctor/endpoint.go"}, // has every flag that gives an endpoint a purpose
	},
	{
		what: "whether a subflow is up", home: "mptcp/state.go",
		copy: regexp.MustCompile(`(mptcp\.|!= )SubflowPending(,| &&).*SubflowClosing(,| &&).*SubflowClosed`),
	},
	{
		what: "whether a connection has a subflow from an address", home: "mptcp/connection.go",
		copy: regexp.MustCompile(
			`Subflows\[\w+\]\.Local\.Addr\(\)(\.Unmap\(\))? ==|s\.Local\.Addr\(\)\.Unmap\(\)\.WithZone\(""\) != local`,
		),
	},
}

// What several packages need is written once: a copy would give another answer one day.
func TestSharedThingsHaveOneHome(t *testing.T) {
	sources := map[string]string{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if err == nil && entry.IsDir() && (entry.Name() == "testdata" || nested(path)) {
				return filepath.SkipDir
			}
			return err
		}
		if strings.HasSuffix(path, ".go") && filepath.Dir(path) != "." {
			text, err := os.ReadFile(path)
			sources[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shared {
		atHome := false
		allowed := map[string]bool{}
		for _, path := range s.also {
			allowed[path] = true
		}
		for path, text := range sources {
			if !s.copy.MatchString(text) {
				continue
			}
			switch {
			case path == s.home, strings.HasPrefix(path, s.home+"/"):
				atHome = true
			case allowed[path]:
			default:
				t.Errorf("%s: %q: %s is at home in %s", path, s.copy.FindString(text), s.what, s.home)
			}
		}
		if !atHome {
			t.Errorf("%s: nothing in %s looks like it: has it moved?", s.what, s.home)
		}
	}
}

// Beside the module's own codec there is one netlink library, also in tests: two would
// have two ideas of timeouts, senders and interrupted dumps.
func TestOneNetlinkLibrary(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	libraries := regexp.MustCompile(`(?m)^\s*(\S*netlink\S*) v`).FindAllStringSubmatch(string(text), -1)
	if len(libraries) != 1 || libraries[0][1] != "github.com/vishvananda/netlink" {
		t.Errorf("netlink libraries %q, want github.com/vishvananda/netlink alone", libraries)
	}
}
