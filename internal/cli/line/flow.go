package line

import (
	"fmt"
	"strconv"
	"strings"

	"mptcpctl/hostnet"
	"mptcpctl/internal/grammar"
)

// MarkKeyword is the word for the mark of a flow.
func MarkKeyword() grammar.Keyword {
	return grammar.Keyword{Name: "mark", Value: grammar.Number, Summary: "the mark of the flow (SO_MARK)"}
}

// UIDKeyword is the word for the user of a flow.
func UIDKeyword() grammar.Keyword {
	return grammar.Keyword{Name: "uid", Value: grammar.Number, Summary: "the user whose flow it is, by number"}
}

// Flow takes the words about a flow, "mark MARK" and "uid UID", and returns the others.
func Flow(inv *grammar.Invocation, args []string, key *hostnet.LookupRequest) (others []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word != "mark" && word != "uid" {
			others = append(others, word)
			continue
		}
		if i++; i == len(args) {
			return nil, inv.Usage(word + ": the number is missing")
		}
		n, err := strconv.ParseUint(args[i], 0, 32)
		if err != nil {
			return nil, inv.Usage(fmt.Sprintf("%s: %q is no number of 32 bits", word, args[i]))
		}
		if word == "mark" {
			key.Mark = uint32(n)
		} else {
			key.UID, key.HasUID = uint32(n), true
		}
	}
	return others, nil
}

// FlowNotes says of which flow the answer is, and on what rules make routes depend that is
// left open.
func FlowNotes(key hostnet.LookupRequest, open []string) []string {
	var notes []string
	if key.Mark != 0 || key.HasUID {
		of := hostnet.LookupRequest{Mark: key.Mark, UID: key.UID, HasUID: key.HasUID}.Words()
		notes = append(notes, "the answer is for a flow with"+of)
	}
	if len(open) > 0 {
		notes = append(notes, fmt.Sprintf(
			"routing rules depend on %s: the answer may differ for other flows (say which: mark MARK, uid UID)",
			strings.Join(open, ", "),
		))
	}
	return notes
}
