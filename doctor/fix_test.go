package doctor

import (
	"regexp"
	"strings"
	"testing"

	"mptcpctl/doctor/rule"
)

// placeholder is a word in capitals that a user would have to replace. COMMAND is the
// user's own, and net.ipv4.conf has none.
var placeholder = regexp.MustCompile(`\b(ADDRESS|ADDR|DEVICE|DEV|GATEWAY|LENGTH|PORT|HOST|NAME|N|ID)\b`)

// TestFixesAreAboutTheirCause: each of these rules has a command that changes what it is
// about, in every case of it.
func TestFixesAreAboutTheirCause(t *testing.T) {
	wanted := map[rule.ID]string{
		"D15": "mptcpctl limits set subflows ", "D16": "on the peer: mptcpctl limits set subflows ",
		"D17": "mptcpctl limits set add_addr_accepted ", "D19": "mptcpctl endpoint add ",
		"D21": "mptcpctl endpoint delete id ", "D24": "mptcpctl endpoint delete id ", "D27": "mptcpctl endpoint add ",
	}
	met := map[rule.ID]bool{}
	for _, tt := range ruleCases() {
		f := healthy(t)
		tt.trigger(t, f)
		for _, found := range Diagnose(*f).Findings {
			command, ok := wanted[found.Rule]
			if !ok || found.Severity == Info && found.Rule != "D24" {
				continue
			}
			met[found.Rule] = true
			if !strings.Contains(strings.Join(found.Fix, "\n"), command) {
				t.Errorf("%s %s: %s has no %q: %q", tt.rule, tt.name, found.Rule, command, found.Fix)
			}
		}
	}
	if len(met) != len(wanted) {
		t.Errorf("met %d rules of %d: %v", len(met), len(wanted), met)
	}
}

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
