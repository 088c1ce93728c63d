package filter

import (
	"strings"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// names returns all names that may stand behind the word of a term, nil where they are
// not known beforehand.
func (t *Term) names() []string {
	if t.Word != "error" {
		return Values(t.Word)
	}
	var names []string
	for n := range uint64(firstNoErrno) {
		if name := errnoName(n); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// Values returns the names that may stand behind the word of a term, in the order
// in which they are offered, for help and completion; nil where they are too many
// to be listed, or not known beforehand.
func Values(word string) []string {
	switch word {
	case "state", "exclude":
		return stateNames()
	case "event":
		var names []string
		for _, t := range mptcp.EventTypes() {
			names = append(names, t.Name())
		}
		names = append(names, mptcp.EventLost.Name())
		for _, k := range track.Kinds() {
			names = append(names, k.String())
		}
		return names
	case "reason":
		words := reasonWords()
		return words[:len(words)-1] // the last describes numbers
	}
	for _, t := range Terms() {
		if t.Word == word && strings.Contains(t.Argument, "|") && strings.ToLower(t.Argument) == t.Argument {
			return strings.Split(t.Argument, "|")
		}
	}
	return nil
}
