package web

import (
	"regexp"
	"testing"

	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// TestLanesOnlyDraw: what an event means for the lanes of a connection the server works
// out. The page's script knows neither names of events nor kinds of marks.
func TestLanesOnlyDraw(t *testing.T) {
	script := string(mustRead("assets/lanes.js"))
	words := []string{`\.kind\b`, `\.derived\b`, `\.event\b`, `history`}
	for _, k := range track.Kinds() {
		words = append(words, k.String())
	}
	for e := range mptcp.EventType(32) {
		if name := e.Name(); name != "" {
			words = append(words, `\b`+name+`\b`)
		}
	}
	if len(words) < 20 {
		t.Fatalf("there are %d words to look for", len(words))
	}
	for _, word := range words {
		if found := regexp.MustCompile(word).FindString(script); found != "" {
			t.Errorf("lanes.js has %q", found)
		}
	}
}
