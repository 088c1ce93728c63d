package grammar

import (
	"context"
	"strings"
)

// Kind tells what a value is, for usage texts and completion.
type Kind uint8

// The kinds of values.
const (
	None     Kind = iota // takes no value
	Word                 // one of the row's Choices, or any word
	Address              // an IP address of this host
	Host                 // a host name or an address elsewhere
	Device               // a network device
	ID                   // an endpoint's id
	Number               // a number
	Port                 // a port number
	Token                // a connection's token
	File                 // a file name
	Netns                // a network namespace
	Duration             // a time span such as 10s
	Name                 // a name of the command's own making
	Subject              // the name of a command
	Filter               // words of the filter language
	Program              // a program and its arguments
)

// Run carries out a command.
type Run func(ctx context.Context, inv *Invocation) error

// Entry names a command and builds its row: only the row of the command that a
// command line names is built.
type Entry struct {
	Name  string
	Build func() Command
}

// Command is a row of the table: an object, or a verb of one.
type Command struct {
	Name      string
	Summary   string   // one line, without a full stop
	Synopsis  []string // what may follow the command's name, a line each; nil: those of the verbs
	Help      string   // what it does, in paragraphs separated by empty lines
	Privilege string   // what it needs: "none", "CAP_NET_ADMIN", …
	Examples  []Example

	Flags    []Flag    // the command's own
	Keywords []Keyword // words that stand before a value, or alone
	Operand  Kind      // what stands without a keyword
	Choices  []string  // the words that Operand may be, where it is Word

	Verbs   []Command // their order decides abbreviations
	Default string    // the verb that a bare object, or one without a matching verb, means

	// Lenient: words that are not verbs go to the default verb instead of being
	// an error, as in `connection dst :443`.
	Lenient bool
	// Verbatim: options end at the first operand, as before another program's
	// command line.
	Verbatim bool
	Hidden   bool // not in usage, completion and manual
	Trouble  int  // the exit code of all errors, wrong usage too; 0: the usual ones
	IPRoute  bool // has iproute2's exit codes, also for its verbs
	Quick    bool // is over soon and leaves nothing behind: signals may end it at once, as they end ip
	Run      Run
}

// Example is a command line, without the program's name, and what it does.
type Example struct {
	Line    string
	Meaning string
}

// Flag is an option of one command.
type Flag struct {
	Name    string // the long form, without dashes
	Letter  byte   // the short form, or 0
	Value   Kind   // None: a switch
	Metavar string // the value's name in usage texts
	// Optional says that the flag may stand alone; its value then stands only behind an
	// equals sign.
	Optional bool
	Choices  []string
	Summary  string
}

// Keyword is a word of a command's grammar.
type Keyword struct {
	Name    string
	Value   Kind // None: stands alone
	Choices []string
	Summary string
}

// Match returns the index of the first name that starts with word, preferring
// the whole word, or -1. An empty word matches nothing.
func Match(word string, names []string) int {
	first := -1
	if word == "" {
		return first
	}
	for i, name := range names {
		if name == word {
			return i
		}
		if first < 0 && strings.HasPrefix(name, word) {
			first = i
		}
	}
	return first
}

// Matches reports whether word is a prefix of name that is not empty.
func Matches(word, name string) bool { return word != "" && strings.HasPrefix(name, word) }

// Verb returns the verb that word names, or nil.
func (c *Command) Verb(word string) *Command {
	names := make([]string, len(c.Verbs))
	for i := range c.Verbs {
		names[i] = c.Verbs[i].Name
	}
	if i := Match(word, names); i >= 0 {
		return &c.Verbs[i]
	}
	return nil
}

// defaultVerb returns the verb that stands for the bare object, or nil.
func (c *Command) defaultVerb() *Command {
	for i := range c.Verbs {
		if c.Verbs[i].Name == c.Default {
			return &c.Verbs[i]
		}
	}
	return nil
}

// Find returns the entry that word names, or false.
func Find(entries []Entry, word string) (Entry, bool) {
	names := make([]string, len(entries))
	for i := range entries {
		names[i] = entries[i].Name
	}
	if i := Match(word, names); i >= 0 {
		return entries[i], true
	}
	return Entry{}, false
}
