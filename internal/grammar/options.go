package grammar

import (
	"net/netip"
	"strings"
)

// ColorMode tells when output is coloured.
type ColorMode uint8

// The modes of -c; a bare -c means ColorAlways, as in iproute2.
const (
	ColorDefault ColorMode = iota // the option was not given
	ColorNever
	ColorAuto // where the output is a terminal
	ColorAlways
)

// Options are the global options.
type Options struct {
	Netns          string // -n
	AllNetns       bool   // -a
	JSON           bool   // -j
	Pretty         bool   // -p
	IPv4, IPv6     bool   // -4, -6
	Timestamp      bool   // -t
	TimestampShort bool   // -ts
	OneLine        bool   // -o
	Details        bool   // -d
	Color          ColorMode
	Batch          string // -b
	Force          bool   // -force
	Replay         string // --replay
	At             string // --at
	Version        bool   // -V
	Help           bool   // -h
}

// Wants reports whether -4 and -6 let the address through; both do as none does. It
// is unmapped.
func (o *Options) Wants(a netip.Addr) bool { return o.IPv4 == o.IPv6 || a.Is4() == o.IPv4 }

// Global is a global option.
type Global struct {
	Name    string // without dashes
	Letter  string // the shortest form in use, for the manual
	Metavar string // the value's name; "" for a switch
	Value   Kind
	Summary string

	shortest int // least number of letters of an abbreviation, where one has another meaning to users of ip
	set      func(o *Options, value string) bool
}

// on returns a setter for a switch.
func on(field func(o *Options) *bool) func(*Options, string) bool {
	return func(o *Options, _ string) bool {
		*field(o) = true
		return true
	}
}

// text returns a setter for a value that must not be empty: a script with an empty
// variable does not mean the namespace that it runs in.
func text(field func(o *Options) *string) func(*Options, string) bool {
	return func(o *Options, v string) bool {
		*field(o) = v
		return v != ""
	}
}

// Globals returns the global options in the order that decides their
// abbreviations.
func Globals() []Global {
	return []Global{
		{Name: "4", Letter: "4", Summary: "IPv4 only", set: on(func(o *Options) *bool { return &o.IPv4 })},
		{Name: "6", Letter: "6", Summary: "IPv6 only", set: on(func(o *Options) *bool { return &o.IPv6 })},
		{
			Name:    "details",
			Letter:  "d",
			Summary: "more of what is known",
			set:     on(func(o *Options) *bool { return &o.Details }),
		},
		{
			Name:    "oneline",
			Letter:  "o",
			Summary: "one line for each record",
			set:     on(func(o *Options) *bool { return &o.OneLine }),
		},
		{
			Name:    "timestamp",
			Letter:  "t",
			Summary: "the time before each event, on a line of its own",
			set:     on(func(o *Options) *bool { return &o.Timestamp }),
		},
		{
			Name:    "tshort",
			Letter:  "ts",
			Summary: "the time before each event, on its line",
			set:     on(func(o *Options) *bool { return &o.TimestampShort }),
		},
		{
			Name:    "Version",
			Letter:  "V",
			Summary: "print the version",
			set:     on(func(o *Options) *bool { return &o.Version }),
		},
		{
			Name:    "force",
			Letter:  "force",
			Summary: "with -b: go on after a line that failed",
			set:     on(func(o *Options) *bool { return &o.Force }),
		},
		{
			Name:    "batch",
			Letter:  "b",
			Metavar: "FILE",
			Value:   File,
			Summary: "take commands from the file, one a line; - is standard input",
			set:     text(func(o *Options) *string { return &o.Batch }),
		},
		{Name: "json", Letter: "j", Summary: "JSON", set: on(func(o *Options) *bool { return &o.JSON })},
		{
			Name:    "pretty",
			Letter:  "p",
			Summary: "JSON for human eyes",
			set:     on(func(o *Options) *bool { return &o.Pretty }),
		},
		{
			Name:    "netns",
			Letter:  "n",
			Metavar: "NETNS",
			Value:   Netns,
			Summary: "work in this network namespace: a name of ip-netns(8), a path, or a process id",
			set:     text(func(o *Options) *string { return &o.Netns }),
		},
		{
			Name:    "all-netns",
			Letter:  "a",
			Summary: "look at all network namespaces",
			set:     on(func(o *Options) *bool { return &o.AllNetns }),
		},
		{
			Name:    "color",
			Letter:  "c",
			Metavar: "always|auto|never",
			Summary: "colour the output; NO_COLOR is honoured",
			set:     setColor,
		},
		{Name: "replay", Letter: "-replay", shortest: len("rep"), // ip's users mean -resolve by -r and -re
			Metavar: "FILE", Value: File, Summary: "take a recording, also a compressed one (.gz), in place of the " +
				"kernel",
			set: text(func(o *Options) *string { return &o.Replay })},
		{
			Name: "at", Letter: "-at", Metavar: "TIME", Value: Word,
			Summary: "show that moment of the history, or of the recording: 03:00, yesterday-14:05, 10m-ago",
			set:     text(func(o *Options) *string { return &o.At }),
		},
		{Name: "help", Letter: "h", Summary: "print help", set: on(func(o *Options) *bool { return &o.Help })},
	}
}

// attached reports whether the option takes its value only behind an equals sign.
func (g *Global) attached() bool { return g.Name == "color" }

func setColor(o *Options, value string) bool {
	switch value {
	case "", "always":
		o.Color = ColorAlways
	case "auto":
		o.Color = ColorAuto
	case "never":
		o.Color = ColorNever
	default:
		return false
	}
	return true
}

// option applies the global option at args[0] and returns how many words it took:
// 0 if it is none.
func (o *Options) option(args []string) (int, error) {
	word := strings.TrimPrefix(args[0], "-")
	word = strings.TrimPrefix(word, "-")
	word, value, attached := strings.Cut(word, "=")
	globals := Globals()
	names := make([]string, len(globals))
	for i := range globals {
		names[i] = globals[i].Name
	}
	i := Match(word, names)
	if i < 0 || len(word) < globals[i].shortest {
		return 0, nil
	}
	g := &globals[i]
	takesValue, taken := g.Metavar != "", 1
	switch {
	case attached && !takesValue:
		return 0, nil
	case takesValue && !attached && !g.attached():
		if len(args) < 2 {
			return 0, &UsageError{
				Message:    "option " + args[0] + " needs a value: " + g.Metavar,
				Option:     args[0],
				Incomplete: true,
			}
		}
		value, taken = args[1], 2
	}
	if !g.set(o, value) {
		return 0, &UsageError{Message: "option " + args[0] + ": want " + g.Metavar, Option: args[0]}
	}
	return taken, nil
}
