package filter

import (
	"fmt"
	"mptcpctl/internal/proposal"
	"strconv"
	"strings"
)

// Error tells which word of an expression is wrong, and what could stand there.
type Error struct {
	Input    string   // the whole expression, its words joined by blanks
	Offset   int      // where in Input the bad word begins, in bytes
	Word     string   // the bad word, "" at the end of the expression
	Expected []string // what could stand there: words, or descriptions such as "a port"
	Unknown  string   // the part of Word that is no name or value of the language, "" where something else is wrong
	Names    []string // the names that could stand for Unknown; nil where they cannot be listed
}

// Error returns the bad word and what was expected, on one line. Where the word is likely
// to be another one with a mistake, it names that one, and not all that could stand there.
func (e *Error) Error() string { return e.Among(e.Names) }

// Among is [Error.Error] where the names could stand for the unknown word: those of the
// language, and others that its user could have meant.
func (e *Error) Among(names []string) string {
	if meant := proposal.DidYouMean(e.Unknown, names); meant != "" {
		return "filter: unknown word " + strconv.Quote(e.Unknown) + meant
	}
	place := "at the end"
	if e.Word != "" {
		place = fmt.Sprintf("at %q", e.Word)
	}
	return fmt.Sprintf("filter: %s: want %s", place, list(e.Expected))
}

// list joins words as in "a, b or c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
