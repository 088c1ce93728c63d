package grammar

import (
	"io"
	"strconv"
)

// Invocation is one command line, understood.
type Invocation struct {
	Program string   // what the program was called as
	Command *Command // the row that Run is taken from
	Path    string   // the command's full name: "endpoint add"
	Options Options
	Args    []string // operands and keywords, without options
	Verbs   []string // what Args[0] may have been meant for, where it is no verb and the default verb took it
	flags   []flagValue

	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
}

type flagValue struct{ name, value string }

// Has reports whether the flag of that long name was given.
func (i *Invocation) Has(name string) bool {
	_, ok := i.Value(name)
	return ok
}

// Value returns the value that was given last to the flag of that long name.
func (i *Invocation) Value(name string) (string, bool) {
	for n := len(i.flags) - 1; n >= 0; n-- {
		if i.flags[n].name == name {
			return i.flags[n].value, true
		}
	}
	return "", false
}

// Values returns all values that were given to the flag, in order.
func (i *Invocation) Values(name string) []string {
	var values []string
	for _, f := range i.flags {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}

// Int returns the flag's value as a number between low and high, or fallback
// where it was not given. The error is a [*UsageError].
func (i *Invocation) Int(name string, low, high, fallback int) (int, error) {
	value, ok := i.Value(name)
	if !ok {
		return fallback, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, &UsageError{Path: i.Path, Message: "--" + name + " " + strconv.Quote(value) +
			": want a number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high)}
	}
	return n, nil
}

// Usage returns a [*UsageError] of this command.
func (i *Invocation) Usage(message string) error {
	return &UsageError{Path: i.Path, Message: message}
}

// UsageError tells that a command line is wrong.
type UsageError struct {
	Path       string // the command, "" where none was understood yet
	Message    string
	Word       string // the word that is no command
	Option     string // the word that is no option, or whose value is wrong
	Incomplete bool   // the command line ends too early
}

// Error returns the command and what is wrong with its line.
func (e *UsageError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}
