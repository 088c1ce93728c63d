package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{" ", ""},
		{"state established", "state established"},
		{"state ESTAB", "state established"},
		{"state established state closing", "state established,closing"},
		{"state established,closing", "state established,closing"},
		{"state established, closing", "state established,closing"},
		{"state established and state closing", "state established and state closing"},
		{"exclude listening exclude closed", "state connected"},
		{"state connected exclude established", "state syn-sent,syn-recv,fin-wait-1,fin-wait-2,time-wait,close-wait,last-ack,closing"},
		{"state established exclude established", "exclude all"},
		{"state != established state established", "state all"},
		{"exclude != established", "state established"},
		{"state bucket", "state bucket"},
		{"state syn-recv state time-wait", "state bucket"},
		{"src 10.0.0.0/8", "src 10.0.0.0/8"},
		{"src 10.1.2.3/8", "src 10.0.0.0/8"},
		{"src 10/8", "src 10.0.0.0/8"},
		{"src 10.1/16:443", "src 10.1.0.0/16:443"},
		{"src inet:192.0.2.1", "src 192.0.2.1"},
		{"dst inet6:[2001:db8::1]:443", "dst [2001:db8::1]:443"},
		{"src inet:*", "src 0.0.0.0/0"},
		{"dst *:* src any host all", "dst any and src any and host any"},
		{"src ::ffff:10.1.2.3", "src 10.1.2.3"},
		{"src ::ffff:10.0.0.0/104", "src 10.0.0.0/8"},
		{"dst :443", "dport = :443"},
		{"dst = *:443", "dport = :443"},
		{"dst != 192.0.2.1", "not dst 192.0.2.1"},
		{"dst 192.0.2.1:443", "dst 192.0.2.1:443"},
		{"dst 192.0.2.1:*", "dst 192.0.2.1"},
		{"dst 192.0.2.0/24:443", "dst 192.0.2.0/24:443"},
		{"dst [2001:db8::]/32:443", "dst [2001:db8::]/32:443"},
		{"dst [2001:db8::1]", "dst 2001:db8::1"},
		{"dst 2001:db8::/32", "dst 2001:db8::/32"},
		{"dst [::1]:80", "dst [::1]:80"},
		{"sport=:443", "sport = :443"},
		{"dport>=:1024", "dport >= :1024"},
		{"dport 443", "dport = :443"},
		{"dport = 443", "dport = :443"},
		{"dport = :https", "dport = :443"},
		{"dport ne 443", "not dport = :443"},
		{"dport lt 5 and dport le 5 and dport gt 5 and dport ge 5 and dport eq 5", "dport < :5 and dport <= :5 and " +
			"dport > :5 and dport >= :5 and dport = :5"},
		{"host 1.2.3.4 and port 443", "host 1.2.3.4 and port = :443"},
		{"host 1.2.3.4 port 443", "host 1.2.3.4 and port = :443"},
		{"dev wlan0 && ! backup || fallback", "dev wlan0 and not backup or fallback"},
		{"dev wlan0 and (backup or fallback)", "dev wlan0 and ( backup or fallback )"},
		{"(dev a and backup) and fallback", "dev a and backup and fallback"},
		{"not (backup and fallback)", "not ( backup and fallback )"},
		{"not not backup", "backup"},
		{"token 0x910DA67", "token 0910da67"},
		{"token 1,2", "token 00000001 or token 00000002"},
		{"token != 1,2", "not ( token 00000001 or token 00000002 )"},
		{"subflows >= 2", "subflows >= 2"},
		{"subflows 2", "subflows = 2"},
		{"process nginx or proc 12", "process nginx or process 12"},
		{`process "Web Content"`, `process "Web Content"`},
		{`process 'a"b\'`, `process "a\"b\\"`},
		{`process "and"`, `process "and"`},
		{`netns ""`, `netns ""`},
		{"event sf_closed,CLOSED", "event SF_CLOSED or event CLOSED"},
		{"event 77", "event 77"},
		{"reason middlebox", "reason middlebox"},
		{"reason 6", "reason middlebox"},
		{"reason 9", "reason 9"},
		{"error econnrefused", "error ECONNREFUSED"},
		{"error 111,255", "error ECONNREFUSED or error 255"},
		{"side client family inet6 id 3", "side client and family inet6 and id 3"},
	} {
		t.Run(tt.in, func(t *testing.T) {
			e, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			words, err := Parse(strings.Fields(tt.in)...)
			if strings.Count(tt.in, `"`) == 0 && (err != nil || words.String() != tt.want) {
				t.Errorf("as separate words: %q, %v", words, err)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		in, word string
		offset   int
		expected string
	}{
		{"dst :443 an dport 3", "an", 9, "token"},
		{"state foo", "foo", 6, "established"},
		{"state", "", 5, "established"},
		{"state established,,", "established,,", 6, "closed"},
		{"dport", "", 5, "a port from 0 to 65535"},
		{"dport 70000", "70000", 6, "a port from 0 to 65535"},
		{"dport = = 3", "=", 8, "a port from 0 to 65535"},
		{"dport nosuchservice", "nosuchservice", 6, "the name of a service"},
		{"dst 443", "443", 4, ":PORT"},
		{"dst 10.0.0.0.0/8", "10.0.0.0.0/8", 4, "ADDRESS/BITS"},
		{"dst inet:", "inet:", 4, "ADDRESS/BITS"},
		{"dst 10.0.0.0/33", "10.0.0.0/33", 4, "ADDRESS/BITS"},
		{"dst fe80::1%eth0", "fe80::1%eth0", 4, "an address"},
		{"dst < 10.0.0.1", "<", 4, "!="},
		{"( backup", "", 8, ")"},
		{"backup )", ")", 7, "and"},
		{"backup and", "", 10, "not"},
		{"or backup", "or", 0, "("},
		{"dev and", "and", 4, "the name of a device"},
		{"token xyz", "xyz", 6, "hexadecimal"},
		{"subflows >= two", "two", 12, "a number of subflows"},
		{"event NOSUCH", "NOSUCH", 6, "SF_CLOSED"},
		{"reason nosuch", "nosuch", 7, "middlebox"},
		{"error ENOSUCH", "ENOSUCH", 6, "ECONNREFUSED"},
		{"side left", "left", 5, "client or server"},
		{"family ipx", "ipx", 7, "inet or inet6"},
		{"id 256", "256", 3, "255"},
		{`"backup"`, "backup", 0, "backup"},
		{`process "abc`, `"abc`, 8, "a closing quote"},
		{strings.Repeat("(", 1000), "(", maxDepth + 1, "fewer nested parentheses"},
		{strings.Repeat("!", 1000), "!", maxDepth + 1, "fewer nested parentheses"},
	} {
		t.Run(tt.in[:min(len(tt.in), 40)], func(t *testing.T) {
			e, err := Parse(tt.in)
			ferr, ok := errors.AsType[*Error](err)
			if !ok || e != nil {
				t.Fatalf("got %v, %v, want an Error", e, err)
			}
			if ferr.Word != tt.word || ferr.Offset != tt.offset || ferr.Input != tt.in {
				t.Errorf(
					"got word %q at %d of %q, want %q at %d",
					ferr.Word,
					ferr.Offset,
					ferr.Input,
					tt.word,
					tt.offset,
				)
			}
			if wanted := list(ferr.Expected); !strings.Contains(wanted, tt.expected) {
				t.Errorf("the error wants %q, not %q", wanted, tt.expected)
			}
		})
	}
}

func TestTermsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, term := range Terms() {
		for _, w := range []string{term.Word, term.short} {
			if w != "" && (seen[w] || reserved(w)) {
				t.Errorf("the word %q is taken", w)
			}
			seen[w] = true
		}
		if term.Meaning == "" || term.parse == nil {
			t.Errorf("%q: incomplete", term.Word)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"state established and ( dport = :443 or dst 10.0.0.0/8 )", "exclude all", "state a state b",
		`not process "Web Content" netns ''`, "token 1,0x2 , 3", "dst [::ffff:1.2.3.4]/100:5", "! ! ( ( backup ) )",
		"event SF_CLOSED,CLOSED reason 6 error 111", "subflows>=2&&id 3||side client",
		"family inet host ::1 port != ssh",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		e, err := Parse(in)
		if err != nil {
			ferr, ok := errors.AsType[*Error](err)
			if !ok || e != nil || ferr.Offset < 0 || ferr.Offset > len(in) || len(ferr.Expected) == 0 {
				t.Fatalf("Parse(%q) = %v, %#v", in, e, err)
			}
			return
		}
		canonical := e.String()
		again, err := Parse(canonical)
		if err != nil {
			t.Fatalf("%q became %q: %v", in, canonical, err)
		}
		if again.String() != canonical {
			t.Fatalf("%q became %q, then %q", in, canonical, again)
		}
	})
}

// TestErrorsNameWhatCouldBeMeant: an error has the name that is none, and all names
// that could stand there, so that a caller can propose one.
func TestErrorsNameWhatCouldBeMeant(t *testing.T) {
	for input, want := range map[string]struct{ unknown, among string }{
		"sate established":               {"sate", "state"},
		"state established adn dst :443": {"adn", "and"},
		"dst :443 nto fallback":          {"nto", "not"},
		"exclude estblished":             {"estblished", "established"},
		"state listen,estblished":        {"estblished", "established"},
		"state listen exclude clse":      {"clse", "closing"},
		"event CREATED,SF_CLOSD":         {"SF_CLOSD", "SF_CLOSED"},
		"reason midlebox":                {"midlebox", "middlebox"},
		"error ECONREFUSED":              {"ECONREFUSED", "ECONNREFUSED"},
		"side != clinet":                 {"clinet", "client"},
		"family inet4":                   {"inet4", "inet6"},
		"dst 10.0.0.x":                   {"10.0.0.x", ""}, // addresses cannot be listed
		"state":                          {"", ""},         // no word is wrong: one is missing
		"side < client":                  {"", ""},         // a comparison is wrong
		"( dst :443":                     {"", ""},
		"dst 'open":                      {"", ""},
	} {
		_, err := Parse(input)
		wrong, ok := errors.AsType[*Error](err)
		if !ok {
			t.Errorf("%q: %v", input, err)
			continue
		}
		if wrong.Unknown != want.unknown || (want.among == "") != (len(wrong.Names) == 0) ||
			want.among != "" && !slices.Contains(wrong.Names, want.among) {
			t.Errorf(
				"%q: %q is none of %q; want %q and among the names %q",
				input,
				wrong.Unknown,
				wrong.Names,
				want.unknown,
				want.among,
			)
		}
	}
}
