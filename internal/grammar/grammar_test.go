package grammar

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table is a small program: an object of iproute2's kind, a netcat, a launcher, a
// lister with a filter.
func table() []Entry {
	return []Entry{
		{"endpoint", func() Command {
			return Command{
				Name:      "endpoint",
				Summary:   "endpoints",
				Privilege: "some",
				IPRoute:   true,
				Default:   "show",
				Verbs: []Command{
					{
						Name:     "add",
						Summary:  "add one",
						Synopsis: []string{"ADDRESS [ dev DEV ]"},
						Operand:  Address,
						Keywords: []Keyword{
							{Name: "dev", Value: Device, Summary: "the device"}, {Name: "signal", Summary: "announce"},
						},
					},
					{
						Name:    "delete",
						Summary: "delete one",
					}, {Name: "show", Summary: "list", Privilege: "none"}, {Name: "secret", Hidden: true},
				},
			}
		}},
		{"nc", func() Command {
			return Command{Name: "nc", Summary: "netcat", Flags: []Flag{
				{Name: "listen", Letter: 'l', Summary: "serve"},
				{Name: "keep", Letter: 'k', Summary: "go on"},
				{Name: "port", Letter: 'p', Value: Port, Metavar: "PORT", Summary: "the port"},
				{Name: "wait", Value: Duration, Metavar: "TIME", Summary: "patience"},
			}}
		}},
		{"run", func() Command {
			return Command{
				Name:     "run",
				Summary:  "run",
				Verbatim: true,
				Operand:  Program,
				Flags:    []Flag{{Name: "verbose", Letter: 'v', Summary: "more"}},
			}
		}},
		{"connection", func() Command {
			return Command{
				Name: "connection", Summary: "connections", Default: "show", Lenient: true,
				Flags: []Flag{{Name: "all", Letter: 'A', Summary: "more"}},
				Verbs: []Command{{Name: "show", Summary: "list", Operand: Filter}, {Name: "close", Summary: "end"}},
			}
		}},
		{"help", func() Command { return Command{Name: "help", Summary: "help", Operand: Subject} }},
	}
}

// front reads the global options in front of the object.
func front(args []string) (o Options, rest []string, err error) {
	rest, err = o.Front(args)
	return o, rest, err
}

// parse reads a whole command line and returns what was understood as text.
func parse(line string) (string, *Invocation, error) {
	o, rest, err := front(strings.Fields(line))
	if err != nil {
		return "", nil, err
	}
	inv, err := Parse(table(), o, rest)
	if err != nil {
		return "", inv, err
	}
	var flags []string
	for _, f := range inv.flags {
		flags = append(flags, f.name+"="+f.value)
	}
	return inv.Path + " | " + strings.Join(flags, " ") + " | " + strings.Join(inv.Args, " "), inv, nil
}

func TestParse(t *testing.T) {
	for line, want := range map[string]string{
		"endpoint":                         "endpoint show |  | ",
		"e":                                "endpoint show |  | ",
		"e a 10.0.0.1 dev lo":              "endpoint add |  | 10.0.0.1 dev lo",
		"e a 10.0.0.1 id -1":               "endpoint add |  | 10.0.0.1 id -1",
		"e a -j 10.0.0.1":                  "endpoint add |  | 10.0.0.1",
		"-- e s":                           "endpoint show |  | ",
		"nc -lk -p 80":                     "nc | listen= keep= port=80 | ",
		"nc -lkp80 host":                   "nc | listen= keep= port=80 | host",
		"nc host 80 --wait=5s --lis":       "nc | wait=5s listen= | host 80",
		"nc --wait 5s -- -l":               "nc | wait=5s | -l",
		"nc -":                             "nc |  | -",
		"nc -6 host":                       "nc |  | host",
		"run -v cmd -v --x":                "run | verbose= | cmd -v --x",
		"run -- -v":                        "run |  | -v",
		"connection":                       "connection show |  | ",
		"connection dst :443":              "connection show |  | dst :443",
		"connection sh dst :443":           "connection show |  | dst :443",
		"connection -A s":                  "connection show | all= | s",
		"connection show -A src 10.0.0.1":  "connection show | all= | src 10.0.0.1",
		"connection close":                 "connection close |  | ",
		"connection -- ( dst :443 )":       "connection show |  | ( dst :443 )",
		"-n x -j -p endpoint show":         "endpoint show |  | ",
		"--json --netns x endpoint":        "endpoint show |  | ",
		"-c=never -ts -4 -all e":           "endpoint show |  | ",
		"help endpoint add":                "help |  | endpoint add",
		"endpoint add 10.0.0.1 --replay f": "endpoint add |  | 10.0.0.1",
	} {
		got, _, err := parse(line)
		if err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	want := Options{
		Netns:          "x",
		JSON:           true,
		Pretty:         true,
		IPv4:           true,
		IPv6:           true,
		Timestamp:      true,
		TimestampShort: true,
		OneLine:        true,
		Details:        true,
		Color:          ColorAuto,
		Batch:          "f",
		Force:          true,
		Replay:         "r",
		Version:        true,
		Help:           true,
		AllNetns:       true,
	}
	for _, line := range []string{
		"-n x -j -p -4 -6 -t -ts -o -d -c=auto -b f -force --replay r -V -h -a",
		"-net x -js -pretty -4 -6 -time -tshort -one -det -color=auto -batch f -fo -rep r -Ver -he -all-netns",
		"--netns=x --json --pretty --4 --6 --timestamp --tshort --oneline --details --color=auto --batch=f --force " +
			"--replay=r --Version --help --all-netns",
	} {
		got, rest, err := front(strings.Fields(line))
		if err != nil || len(rest) > 0 {
			t.Errorf("%q: rest %q, %v", line, rest, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q:\n%s", line, diff)
		}
	}
	if o, _, err := front([]string{"-c"}); err != nil || o.Color != ColorAlways {
		t.Errorf("-c: %v, %v", o.Color, err)
	}
	// To users of ip -r means -resolve, which takes no value.
	for _, word := range []string{"-r", "-re", "--r", "--re"} {
		if o, _, err := front([]string{word, "endpoint"}); err == nil || o.Replay != "" {
			t.Errorf("%s endpoint: replay %q, %v", word, o.Replay, err)
		}
	}
	_, inv, err := parse("endpoint show -j -n other")
	if err != nil || !inv.Options.JSON || inv.Options.Netns != "other" {
		t.Errorf("options behind the object: %+v, %v", inv.Options, err)
	}
}

func TestParseErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                       "no command given",
		"frob":                   `unknown command "frob"`,
		"-frob":                  `unknown option "-frob"`,
		"-j=x e":                 `unknown option "-j=x"`,
		"-c=pink e":              "option -c=pink: want always|auto|never",
		"-n":                     "option -n needs a value: NETNS",
		"endpoint frob":          `endpoint: unknown command "frob"`,
		"e -- a":                 `endpoint: unknown command "--"`,
		"nc -p":                  "nc: option -p needs a value: PORT",
		"nc --wait":              "nc: option --wait needs a value: TIME",
		"nc --listen=5":          "nc: option --listen takes no value",
		"nc -x":                  `nc: unknown option "-x"`,
		"nc -lx":                 `nc: unknown option "-lx"`,
		"nc --frob":              `nc: unknown option "--frob"`,
		"connection --frob":      `connection show: unknown option "--frob"`,
		"connection close -frob": `connection close: unknown option "-frob"`,
		"endpoint show -n":       "endpoint show: option -n needs a value: NETNS",
	} {
		_, _, err := parse(line)
		if _, ok := errors.AsType[*UsageError](err); !ok || err.Error() != want {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

func TestInheritance(t *testing.T) {
	for line, want := range map[string][2]string{"endpoint add": {"some", "true"}, "endpoint show": {"none", "true"}} {
		_, inv, err := parse(line)
		if err != nil || inv.Command.Privilege != want[0] || !inv.Command.IPRoute {
			t.Errorf("%s: %+v, %v", line, inv.Command, err)
		}
	}
}

func TestFlags(t *testing.T) {
	_, inv, err := parse("nc -p 80 -p 81 --wait 5")
	if err != nil {
		t.Fatal(err)
	}
	if v := inv.Values("port"); !slices.Equal(v, []string{"80", "81"}) {
		t.Errorf("values %q", v)
	}
	if n, err := inv.Int("port", 1, 65535, 0); n != 81 || err != nil {
		t.Errorf("port %d, %v", n, err)
	}
	if n, err := inv.Int("listen", 1, 2, 7); n != 7 || err != nil {
		t.Errorf("fallback %d, %v", n, err)
	}
	if _, err := inv.Int("port", 1, 80, 0); err == nil || err.Error() != `nc: --port "81": want a number from 1 to 80` {
		t.Errorf("out of bounds: %v", err)
	}
	if inv.Has("keep") || !inv.Has("wait") {
		t.Error("Has")
	}
}

func TestComplete(t *testing.T) {
	for line, want := range map[string]string{
		"|":                                "endpoint nc run connection help",
		"-j|":                              "endpoint nc run connection help",
		"-n|":                              "NETNS",
		"-b|":                              "FILE",
		"endpoint|":                        "add delete show",
		"e a|":                             "dev signal ADDRESS",
		"endpoint add 10.0.0.1|":           "dev signal ADDRESS",
		"endpoint add dev|":                "DEV",
		"endpoint add dev lo|":             "signal ADDRESS",
		"endpoint add dev dev|":            "signal ADDRESS",
		"endpoint add -j signal|":          "dev ADDRESS",
		"nc -p|":                           "PORT",
		"nc -lp|":                          "PORT",
		"nc --wait|":                       "DURATION",
		"connection|":                      "show close FILTER",
		"help|":                            "endpoint nc run connection help COMMAND",
		"help endpoint|":                   "add delete show COMMAND",
		"run|":                             "PROGRAM",
		"frobnicate|":                      "",
		"endpoint add 10.0.0.1 -netns|":    "NETNS",
		"connection show dst :443|":        "FILTER",
		"connection dst|":                  "FILTER",
		"endpoint delete frob nicate id |": "",
	} {
		words := strings.Fields(strings.TrimSuffix(line, "|"))
		got := Complete(table(), append(words, ""))
		var parts []string
		for _, c := range got.Words {
			parts = append(parts, c.Word)
		}
		if got.Kind != None {
			parts = append(parts, got.Kind.String())
		}
		if s := strings.Join(parts, " "); s != want {
			t.Errorf("%q: %q, want %q", line, s, want)
		}
	}
	flags := Complete(table(), []string{"nc", "-"})
	if len(flags.Words) < 7 || flags.Words[0].Word != "--listen" {
		t.Errorf("flags: %v", flags.Words)
	}
}

func TestUsageTexts(t *testing.T) {
	var b bytes.Buffer
	endpoint := table()[0].Build()
	if err := endpoint.WriteUsage(&b, "prog", "endpoint"); err != nil {
		t.Fatal(err)
	}
	want := "Usage: prog endpoint add ADDRESS [ dev DEV ]\n       prog endpoint delete\n       prog endpoint show\n"
	if b.String() != want {
		t.Errorf("usage %q, want %q", b.String(), want)
	}
	b.Reset()
	if err := WriteOverview(&b, "prog", table()); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Usage: prog [ OPTIONS ]", "  endpoint     endpoints\n", "-c, -color[=always|auto|never]", "--replay FILE"} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the overview has no %q:\n%s", part, b.String())
		}
	}
	if strings.Contains(b.String(), "secret") {
		t.Error("the overview has a hidden row")
	}
}

func TestMatch(t *testing.T) {
	names := []string{"add", "address", "delete"}
	for word, want := range map[string]int{"a": 0, "add": 0, "addr": 1, "address": 1, "d": 2, "": -1, "x": -1, "adds": -1} {
		if got := Match(word, names); got != want {
			t.Errorf("%q: %d, want %d", word, got, want)
		}
	}
	if got := Match("ad", []string{"adx", "ad"}); got != 1 {
		t.Errorf("a whole word is %d, want 1", got)
	}
}

// FuzzParse: whatever is typed gives an invocation or an error, never both empty;
// words that start with no dash come out as operands in their order.
func FuzzParse(f *testing.F) {
	for _, line := range []string{"e a 10.0.0.1 dev lo", "nc -lkp80 host", "-n x -j e", "run -v cmd -x", "connection -- ( dst )", "help", "-c=auto e", "nc --wait=5 -"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Fields(line)
		o, rest, err := front(words)
		if err != nil {
			return
		}
		inv, err := Parse(table(), o, rest)
		if err != nil {
			if _, ok := errors.AsType[*UsageError](err); !ok {
				t.Fatalf("%q: %T", line, err)
			}
			return
		}
		if inv.Command == nil || inv.Path == "" {
			t.Fatalf("%q: neither command nor error", line)
		}
		at := 0
		for _, arg := range inv.Args {
			for at < len(rest) && rest[at] != arg {
				at++
			}
			if at == len(rest) {
				t.Fatalf("%q: operand %q is not from the line, or out of order", line, arg)
			}
			at++
		}
		Complete(table(), words)
	})
}
