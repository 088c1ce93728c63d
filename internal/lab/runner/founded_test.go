package runner

import (
	"encoding/json"
	"testing"

	"mptcpctl/doctor/rule"
)

// TestUnfounded: a finding that is certain must name a fact that excludes other causes.
func TestUnfounded(t *testing.T) {
	for text, want := range map[string]rule.ID{
		`{"rule": "D15", "confidence": "likely"}`:                                                           "",
		`{"rule": "D15", "confidence": "certain", "excluded": [{"fact": "a fact", "rules": ["D16"]}]}`:      "",
		`{"rule": "D49", "confidence": "certain", "excluded": [{"fact": "a fact"}]}`:                        "",
		`{"rule": "D15", "confidence": "certain"}`:                                                          "D15",
		`{"rule": "D15", "confidence": "certain", "excluded": [{"fact": "", "rules": ["D16"]}]}`:            "D15",
		`{"rule": "D15", "confidence": "certain", "excluded": [{"fact": "a fact", "rules": ["D15"]}]}`:      "D15",
		`{"rule": "D02", "confidence": "likely"}, {"rule": "D15", "confidence": "certain", "excluded": []}`: "D15",
	} {
		var d Diagnosis
		if err := json.Unmarshal([]byte(`{"findings": [`+text+`]}`), &d); err != nil {
			t.Fatal(err)
		}
		if id, found := d.unfounded(); id != want || found != (want != "") {
			t.Errorf("%s: %q, %v", text, id, found)
		}
	}
}
