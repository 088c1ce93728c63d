package serve

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9099": "127.0.0.1:9099", "[::1]:80": "[::1]:80", ":9099": "[::]:9099", "localhost:1": "127.0.0.1:1",
	} {
		if got, err := ParseAddress(text); err != nil || got.String() != want {
			t.Errorf("%s is %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "127.0.0.1", "9099", "example.com:80", "127.0.0.1:http", "127.0.0.1:65536", "::1:80"} {
		if got, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), DefaultListen) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

// The server does not start where others could read what it shows, or where what it is
// given does not go together.
func TestOptionsRefuse(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token, empty := write("token", "  sixteen-characters-or-more\n"), write("empty", " \n")
	for _, c := range []struct {
		listen string
		files  Files
		says   string // "": it starts
	}{
		{"127.0.0.1:9099", Files{}, ""},
		{"127.0.0.1:9099", Files{Token: token}, ""},
		{"0.0.0.0:9099", Files{Token: token}, ""},
		{"0.0.0.0:9099", Files{}, "refused to listen"},
		{"192.0.2.1:9099", Files{}, "refused to listen"},
		{"0.0.0.0:9099", Files{Token: empty}, "the token is empty"},
		{"127.0.0.1:9099", Files{Token: "/nonexistent"}, "no such file"},
		{"127.0.0.1:9099", Files{Certificate: token}, "--tls-cert and --tls-key"},
		{"127.0.0.1:9099", Files{Key: token}, "--tls-cert and --tls-key"},
		{"127.0.0.1:9099", Files{ClientCA: token}, "needs --tls-cert"},
		{"127.0.0.1:9099", Files{Certificate: token, Key: token}, "PEM"},
	} {
		o := &Options{Address: netip.MustParseAddrPort(c.listen), Names: []string{"Example.ORG."}}
		err := o.Read(c.files)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s %+v: %v, want %q", c.listen, c.files, err, c.says)
		}
		if o.Names[0] != "example.org" {
			t.Errorf("name %q", o.Names[0])
		}
	}
}
