package iproute

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for word, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "10.1": "10.1.0.0", "010.0x1f": "8.31.0.0", "7": "7.0.0.0", "::1": "::1",
		"::ffff:10.0.0.1": "::ffff:10.0.0.1", "fe80::1": "fe80::1",
	} {
		if got, ok := parseAddress(word); !ok || got != netip.MustParseAddr(want) {
			t.Errorf("%q: %v, %v; want %s", word, got, ok, want)
		}
	}
	for _, word := range []string{"", "foo", "1.2.3.4.5", "256.1", "10.", ".1", "10..1", "-1", "1_0", "0b1", "fe80::1%lo", ":", "10.0.0.1/24", "09"} {
		if got, ok := parseAddress(word); ok {
			t.Errorf("%q is %v, want none", word, got)
		}
	}
}

func TestParseUint(t *testing.T) {
	for word, want := range map[string]uint64{"0": 0, "5": 5, "0x63": 99, "0XfF": 255, "010": 8, "255": 255} {
		if got, ok := ParseUint(word, 255); !ok || got != want {
			t.Errorf("%q: %d, %v; want %d", word, got, ok, want)
		}
	}
	for _, word := range []string{"", "256", "-1", "0x", "x", "1e1", "08", "0b1", "1_0", "99999999999999999999"} {
		if got, ok := ParseUint(word, 255); ok {
			t.Errorf("%q is %d, want none", word, got)
		}
	}
}

func TestSplitWords(t *testing.T) {
	for line, want := range map[string]string{
		"":                           "",
		"  a\tb  c\r":                "a|b|c",
		`endpoint 'add it' "10 0" x`: "endpoint|add it|10 0|x",
		`a"b c"d`:                    `a"b|c"d`,
		`''`:                         "",
	} {
		words, err := SplitWords(line)
		if got := strings.Join(words, "|"); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	if _, err := SplitWords(`a 'b`); err == nil {
		t.Error("an open quote is no error")
	}
}
