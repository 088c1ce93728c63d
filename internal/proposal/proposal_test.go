package proposal

import (
	"slices"
	"strings"
	"testing"
)

func TestPropose(t *testing.T) {
	commands := []string{
		"endpoint",
		"limits",
		"monitor",
		"connection",
		"paths",
		"counters",
		"doctor",
		"nc",
		"wait",
		"top",
		"lab",
		"serve",
		"pm",
		"run",
		"probe",
		"policy",
	}
	for _, test := range []struct {
		typed string
		names []string
		want  string
	}{
		{"montior", commands, "monitor"},      // swapped
		{"conection", commands, "connection"}, // missing
		{"limitss", commands, "limits"},       // too many
		{"doktor", commands, "doctor"},        // wrong
		{"tpo", commands, "top"},              // a mistake in three letters
		{"MONITOR", commands, "monitor"},      // capitals are no mistake
		{"enpdiont", commands, "endpoint"},    // two mistakes in eight letters
		{"conns", commands, "connection"},     // an abbreviation with a mistake
		{"mnoi", commands, "monitor"},         // the same, swapped
		{"endpoints", commands, "endpoint"},   // the plural
		{"zzz", commands, ""},                 // nothing is near
		{"frobnicate", commands, ""},
		{"mnt", commands, ""},     // less than half of it is right
		{"xc", commands, ""},      // too short to tell anything
		{"", commands, ""},        // nothing was typed
		{"monitor", commands, ""}, // it is a name
		{"lan", []string{"lab", "lag"}, "lab lag"},
		{"lax", []string{"lab", "lag", "law"}, ""}, // any of three is no help
		{"ab", nil, ""},
		{"sbuflow", []string{"subflow", "subflows"}, "subflow"},              // a whole name before a longer one
		{"subflowsx", []string{"subflow", "subflows"}, "subflows"},           // the nearest only
		{"two-subnet", []string{"two-subnets", "one-subnet"}, "two-subnets"}, // one that it is the start of
		{"adn", []string{"and", "and"}, "and"},                               // a name is proposed once
	} {
		if got := strings.Join(Propose(test.typed, test.names), " "); got != test.want {
			t.Errorf("%q among %q: %q, want %q", test.typed, test.names, got, test.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	for typed, want := range map[string]string{
		"shwo": `; did you mean "show"?`,
		"lan":  `; did you mean "lab" or "lag"?`,
		"zzz":  "",
	} {
		if got := DidYouMean(typed, []string{"show", "lab", "lag"}); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

// FuzzPropose: proposals are names, at most two, each once, and never the typed word.
func FuzzPropose(f *testing.F) {
	f.Add("montior", "monitor counters")
	f.Add("lan", "lab lag law")
	f.Add("\xff", "\xfe \xff")
	f.Fuzz(func(t *testing.T, typed, list string) {
		names := strings.Fields(list)
		got := Propose(typed, names)
		if len(got) > 2 || len(got) == 2 && got[0] == got[1] {
			t.Fatalf("%q among %q: %q", typed, names, got)
		}
		for _, name := range got {
			if !slices.Contains(names, name) || name == typed {
				t.Fatalf("%q among %q: %q", typed, names, got)
			}
		}
	})
}
