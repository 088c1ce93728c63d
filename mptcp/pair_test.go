package mptcp

import (
	"encoding/json"
	"testing"
)

func TestPair(t *testing.T) {
	p := NewPair(0x0123456789abcdef, 0xfedcba9876543210)
	// printf 'mptcp pair 1\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10' | sha256sum
	const want = "6ce2598aedd3a7b0c57c50b06453bb80"
	if p.String() != want || p != NewPair(0xfedcba9876543210, 0x0123456789abcdef) || p == NewPair(1, 2) {
		t.Errorf("%s, want %s", p, want)
	}
	var back Pair
	for text, good := range map[string]bool{want: true, "": true, want[1:]: false, want + "00": false, "xyz": false, want[:31] + "g": false} {
		if err := back.UnmarshalText([]byte(text)); (err == nil) != good || back.String() != text && good || !good && !back.IsZero() {
			t.Errorf("%q: %s, %v", text, back, err)
		}
	}
	c := Connection{Token: 1, Pair: p}
	b, err := json.Marshal(&c)
	var again Connection
	if err == nil {
		err = json.Unmarshal(b, &again)
	}
	if err != nil || again.Pair != p {
		t.Errorf("%s: %s, %v", b, again.Pair, err)
	}
}
