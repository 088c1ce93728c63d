package serve

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTheTokenIsReadAnew(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	now := time.Now()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute) // so that the times differ on any file system
		if err := os.Chtimes(file, now, now); err != nil {
			t.Fatal(err)
		}
	}
	const first, second, third = "the first long token", "the second long token", "the third long token"
	write(first + "\n")
	token, err := newToken(file)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	token.log = slog.New(slog.NewTextHandler(&text, nil))
	check := func(want, says string) {
		t.Helper()
		for range 2 { // the second time says nothing
			token.watch.looked = time.Time{} // as if a second had passed
			if got := string(token.get()); got != want {
				t.Errorf("token %q, want %q", got, want)
			}
		}
		if lines := strings.Count(text.String(), "\n"); says == "" && lines != 0 ||
			says != "" && (lines != 1 || !strings.Contains(text.String(), says)) {
			t.Errorf("log %q, want one line with %q", text.String(), says)
		}
		if strings.Contains(text.String(), "long token") {
			t.Errorf("the log holds a token: %s", text.String())
		}
		text.Reset()
	}
	check(first, "")
	write(second)
	check(second, "read anew")
	write("weak")
	check(second, "too short")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	check(second, "no such file")
	write(second)
	check(second, "")
	write(third)
	check(third, "read anew")
}
