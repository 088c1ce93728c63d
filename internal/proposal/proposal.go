// Package proposal finds the word that somebody meant who mistyped one: of a command line,
// of a filter, of a page's field.
package proposal

import (
	"slices"
	"strconv"
	"strings"
)

// Propose returns the names that somebody who typed the word may have meant: the one
// that is nearest, two where two are equally near, and none where no name is near or
// more than two are. Near is measured by Damerau and Levenshtein: letters that are
// missing, too many, wrong or swapped with their neighbour. An abbreviation with a
// mistake is near the name that it abbreviates, but less near than a whole name would
// be. Upper and lower case make no difference.
func Propose(word string, names []string) []string {
	typed := strings.ToLower(word)
	best, found := mistakesAllowed(len(typed))*2+1, []string(nil)
	for _, name := range names {
		if name == word {
			continue // it is what was typed: to propose it would be no help
		}
		whole, start := distance(typed, strings.ToLower(name))
		far := 2 * whole
		if len(typed) >= shortestStart {
			far = min(far, 2*start+1)
		}
		switch {
		case far > best:
		case far < best:
			best, found = far, []string{name}
		case !slices.Contains(found, name):
			found = append(found, name)
		}
	}
	if len(found) > 2 {
		return nil
	}
	return found
}

// DidYouMean returns what an error about the word ends with: a semicolon and the
// names to propose, or nothing.
func DidYouMean(word string, names []string) string {
	return Question(Propose(word, names))
}

// Question asks whether the proposals were meant: a semicolon and the question, or nothing
// if there are none.
func Question(proposals []string) string {
	if len(proposals) == 0 {
		return ""
	}
	quoted := make([]string, len(proposals))
	for i, name := range proposals {
		quoted[i] = strconv.Quote(name)
	}
	return "; did you mean " + strings.Join(quoted, " or ") + "?"
}

// shortestStart is how many letters a word needs to be taken for an abbreviation with
// a mistake: of fewer, almost any name would do.
const shortestStart = 3

// mistakesAllowed returns how many mistakes a word of that length may have. One in
// two letters leaves nothing to recognise a name by.
func mistakesAllowed(length int) int {
	switch {
	case length < 3:
		return 0
	case length < 6:
		return 1
	case length < 10:
		return 2
	}
	return 3
}

// distance returns how many mistakes make the name the typed word, and how many make
// the nearest start of the name the typed word. It counts bytes: names are ASCII.
func distance(typed, name string) (whole, start int) {
	// Each row is about one more letter of the name: row[j] is the distance between
	// those letters and the first j typed ones.
	before, row := []int(nil), make([]int, len(typed)+1)
	for j := range row {
		row[j] = j
	}
	start = row[len(typed)]
	for i := range len(name) {
		next := make([]int, len(row))
		next[0] = i + 1
		for j := range len(typed) {
			change := row[j]
			if typed[j] != name[i] {
				change++
			}
			next[j+1] = min(change, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && typed[j] == name[i-1] && typed[j-1] == name[i] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
		start = min(start, row[len(typed)])
	}
	return row[len(typed)], start
}
