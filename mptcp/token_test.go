package mptcp_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"mptcpctl/mptcp"
)

// Tools print one and the same token in four ways (%08x, %x, "0x%x", %04x): text
// never identifies a connection, the number does.
func TestTokenInEveryTool(t *testing.T) {
	const token = mptcp.Token(0x0910da67)
	for _, text := range []string{"0910da67", "910da67", "0x910da67", "0x0910da67", "0X910DA67"} {
		got, err := mptcp.ParseToken(text)
		if err != nil || got != token {
			t.Errorf("ParseToken(%q) = %v, %v; want %v", text, got, err, token)
		}
	}
	if token.String() != "0910da67" {
		t.Errorf("String() = %q: a token has eight digits", token)
	}
}

func TestParseTokenRefuses(t *testing.T) {
	for _, text := range []string{"", "0x", "xyz", "123456789", "-1", "+1", " 1", "1 ", "0x0x1"} {
		if got, err := mptcp.ParseToken(text); err == nil {
			t.Errorf("ParseToken(%q) = %v, want an error", text, got)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add(uint32(0))
	f.Add(uint32(0xffffffff))
	f.Fuzz(func(t *testing.T, n uint32) {
		token := mptcp.Token(n)
		if want := fmt.Sprintf("%08x", n); token.String() != want {
			t.Fatalf("String() = %q, want %q", token, want)
		}
		if back, err := mptcp.ParseToken(token.String()); err != nil || back != token {
			t.Fatalf("ParseToken(%q) = %v, %v", token, back, err)
		}
		encoded, err := json.Marshal(token)
		if err != nil {
			t.Fatal(err)
		}
		var decoded mptcp.Token
		if err := json.Unmarshal(encoded, &decoded); err != nil || decoded != token {
			t.Fatalf("JSON %s decodes as %v, %v", encoded, decoded, err)
		}
	})
}

func TestKeyString(t *testing.T) {
	for _, test := range []struct {
		key  mptcp.Key
		want string
	}{
		{mptcp.Key{Token: 0x12}, "00000012"},
		{mptcp.Key{Netns: "blue", Token: 0x12}, "blue/00000012"},
		{mptcp.Key{Netns: "blue", Token: 0x12, Instance: 2}, "blue/00000012#2"},
	} {
		if got := test.key.String(); got != test.want {
			t.Errorf("%#v prints %q, want %q", test.key, got, test.want)
		}
	}
}
