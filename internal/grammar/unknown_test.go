package grammar

import (
	"slices"
	"testing"
)

func TestProposalsInErrors(t *testing.T) {
	for line, want := range map[string]string{
		"endpiont":                 `unknown command "endpiont"; did you mean "endpoint"?`,
		"endpoint dlete":           `endpoint: unknown command "dlete"; did you mean "delete"?`,
		"endpoint secrte":          `endpoint: unknown command "secrte"`, // what is hidden is not proposed
		"--jsn endpoint":           `unknown option "--jsn"; did you mean "--json"?`,
		"-jsn endpoint":            `unknown option "-jsn"; did you mean "-json"?`,
		"--netsn=x endpoint":       `unknown option "--netsn=x"; did you mean "--netns"?`,
		"nc --lisen":               `nc: unknown option "--lisen"; did you mean "--listen"?`,
		"nc -lisen":                `nc: unknown option "-lisen"; did you mean "--listen"?`,
		"nc --verison":             `nc: unknown option "--verison"; did you mean "--Version"?`,
		"connection show --alll=8": `connection show: unknown option "--alll=8"; did you mean "--all"?`,
	} {
		if _, _, err := parse(line); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
}

// TestVerbsThatMayHaveBeenMeant: where the default verb takes a word that is no verb,
// the invocation has the verbs, for the error about that word.
func TestVerbsThatMayHaveBeenMeant(t *testing.T) {
	for line, want := range map[string][]string{
		"connection colse":       {"show", "close"},
		"connection show colse":  nil,
		"connection":             nil,
		"connection close shwo":  nil,
		"connection --all colse": {"show", "close"},
	} {
		_, inv, err := parse(line)
		if err != nil || !slices.Equal(inv.Verbs, want) {
			t.Errorf("%q: %q, %v; want %q", line, inv.Verbs, err, want)
		}
	}
}
