package gather

import (
	"errors"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
)

// ErrUnknown is what a question for a route gives that the source has no answer to.
var ErrUnknown = errors.New("the answer is not known")

// Lookups returns the answers to the lookups that the facts want: a route, or the
// kernel's refusal. What is not known is left out.
func Lookups(f *doctor.Facts, ask func(hostnet.LookupRequest) (hostnet.Route, error)) []doctor.Lookup {
	var answers []doctor.Lookup
	for _, q := range f.LookupsWanted() {
		route, err := ask(q)
		answer := doctor.Lookup{Request: q, Route: route}
		var refused *hostnet.Error
		switch {
		case errors.Is(err, ErrUnknown):
			continue
		case errors.As(err, &refused):
			answer.Error = refused.Err.Error()
		case err != nil:
			answer.Error = err.Error()
		}
		answers = append(answers, answer)
	}
	return answers
}
