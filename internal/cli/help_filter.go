package cli

import (
	"slices"
	"strings"

	"mptcpctl/internal/filter"
	"mptcpctl/internal/grammar"
)

// filterTopic describes the filter language.
func filterTopic() grammar.Topic {
	topic := grammar.Topic{
		Name:    "filter",
		Summary: "the words that select connections and events, after connection, monitor, wait, doctor and top",
		Help:    filterHelp,
		Title:   "Terms",
		Examples: []grammar.Example{
			{Line: "connection dst 192.0.2.0/24 and dport 443", Meaning: "connections to port 443 of a network"},
			{
				Line:    "connection 'state established and subflows < 2 and not fallback'",
				Meaning: "connections without a second subflow",
			},
			{Line: "wait 'process curl and subflows >= 2' timeout 5s", Meaning: "wait until curl has a second subflow"},
			{
				Line:    "monitor event SF_CLOSED error ECONNRESET,ETIMEDOUT",
				Meaning: "subflows that end with one of two errors",
			},
			{
				Line:    "doctor '( dev wlan0 or family inet6 ) and side client'",
				Meaning: "what is wrong with some connections that this host opened",
			},
		},
	}
	for _, t := range filter.Terms() {
		topic.Rows = append(topic.Rows, [2]string{strings.TrimSpace(t.Word + " " + t.Argument), t.Meaning})
	}
	for _, v := range []struct{ word, name string }{{"state", "STATE"}, {"event", "NAME"}, {"reason", "NAME"}} {
		topic.Rows = append(
			topic.Rows,
			[2]string{v.name + ", after " + v.word, "one of " + strings.Join(filter.Values(v.word), ", ")},
		)
	}
	return topic
}

// filterCandidates returns the words that may follow this one in a filter.
func filterCandidates(before string) []grammar.Candidate {
	var words []grammar.Candidate
	for _, value := range filter.Values(before) {
		words = append(words, grammar.Candidate{Word: value, Summary: before})
	}
	if words != nil {
		return words
	}
	for _, t := range filter.Terms() {
		if t.Word == before && t.Argument != "" {
			return nil // its value, which no table has
		}
		words = append(words, grammar.Candidate{Word: t.Word, Summary: t.Meaning})
	}
	for _, word := range []string{"and", "or", "not"} {
		words = append(words, grammar.Candidate{Word: word, Summary: "combines terms"})
	}
	return words
}

// filterTakesValue reports whether the word begins a term that takes a value.
func filterTakesValue(word string) bool {
	return slices.ContainsFunc(filter.Terms(), func(t filter.Term) bool { return t.Word == word && t.Argument != "" })
}

// filterKind returns the kind of the values of a term that only the host knows.
func filterKind(word string) grammar.Kind {
	switch word {
	case "dev":
		return grammar.Device
	case "token":
		return grammar.Token
	case "netns":
		return grammar.Netns
	}
	return grammar.None
}
