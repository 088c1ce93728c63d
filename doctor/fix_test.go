package doctor

import (
	"regexp"
	"strings"
	"testing"
)

// placeholder is a word in capitals that a user would have to replace. COMMAND is the
// user's own, and net.ipv4.conf has none.
var placeholder = regexp.MustCompile(`\b(ADDRESS|ADDR|DEVICE|DEV|GATEWAY|LENGTH|PORT|HOST|NAME|N|ID)\b`)

// TestFixesCanBeTyped: over all cases of all rules, each command of a fix can be typed as
// it stands: nothing in it is to be filled in, and nothing but a command stands in front.
func TestFixesCanBeTyped(t *testing.T) {
	commands := 0
	for _, tt := range ruleCases() {
		f := healthy(t)
		tt.trigger(t, f)
		for _, found := range Diagnose(*f).Findings {
			for _, line := range found.Fix {
				command, _, _ := strings.Cut(line, "   (")
				if placeholder.MatchString(command) {
					t.Errorf("%s %s: %s has something to fill in: %q", tt.rule, tt.name, found.Rule, line)
				}
				if strings.HasPrefix(command, "or: ") {
					t.Errorf("%s %s: %s has a word in front of a command: %q", tt.rule, tt.name, found.Rule, line)
				}
				if strings.HasPrefix(command, "mptcpctl ") || strings.HasPrefix(command, "ip ") {
					commands++
				}
			}
		}
	}
	if commands < 40 {
		t.Errorf("%d commands only", commands)
	}
}
