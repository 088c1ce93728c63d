package web

import (
	"errors"
	"io"
	"strconv"
	"testing"
	"time"
)

// Scrapes that come together share one text; a later one has a new text, and a failure is
// not kept.
func TestScrapesShareATextForAShortWhile(t *testing.T) {
	made := 0
	failed := errors.New("no metrics now")
	config := &Config{Metrics: func(w io.Writer) error {
		if made++; made == 3 {
			return failed
		}
		_, err := io.WriteString(w, strconv.Itoa(made))
		return err
	}}
	var s scrape
	read := func(want string, wantErr error) {
		t.Helper()
		text, err := s.read(config)
		if string(text) != want || !errors.Is(err, wantErr) {
			t.Errorf("%q, %v; want %q, %v", text, err, want, wantErr)
		}
	}
	age := func() { s.made = s.made.Add(-scrapeAge) }
	read("1", nil)
	s.made = time.Now().Add(time.Minute) // however slow the machine is
	read("1", nil)
	s.made = time.Now()
	age()
	read("2", nil)
	age()
	read("", failed)
	read("4", nil)
}
