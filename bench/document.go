package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// The markers between which a document has what the bench wrote.
const (
	beginMarker = "<!-- make bench writes from here … -->"
	endMarker   = "<!-- … to here -->"
)

// document is a whole run.
type document struct {
	head    string
	reports []*report
	took    time.Duration
}

// goals returns the table of all goals, met and missed.
func (d *document) goals() string {
	var b strings.Builder
	b.WriteString("### Goals\n\n")
	line(&b, []string{"goal", "wanted", "measured: median (least … most)", ""})
	b.WriteString("|---|---|---|---|\n")
	met, all := 0, 0
	for _, r := range d.reports {
		if r.failed != nil {
			line(&b, []string{r.title, "to run", "", "**failed**"})
			all++
		}
		for _, g := range r.goals {
			line(&b, g.cells())
			if all++; g.measured.n > 0 && g.met() {
				met++
			}
		}
	}
	fmt.Fprintf(&b, "\n%d of %d met. The whole run took %.0f s.\n", met, all, d.took.Seconds())
	return b.String()
}

// String returns the run in Markdown: the goals first, for they are what one looks
// for.
func (d *document) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s", d.head, d.goals())
	for _, r := range d.reports {
		fmt.Fprintf(&b, "\n%s", r)
	}
	return b.String()
}

// checkDocument tells early what would stop write. Only a whole run may replace
// what is between markers: the sections of a document are of one run.
func checkDocument(name string, whole bool) error {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, _, err := surroundings(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !whole {
		return fmt.Errorf("%s: shows a whole run: leave -only away, or name a new file", name)
	}
	return nil
}

// write puts the run between the markers of the file, or into a new file.
func (d *document) write(name string) error {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(name, []byte(d.String()), 0o644)
	}
	if err != nil {
		return err
	}
	before, after, err := surroundings(text)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return os.WriteFile(name, fmt.Appendf(nil, "%s\n\n%s\n%s", before, d, after), 0o644)
}

// surroundings returns the text up to the begin marker and from the end marker on.
func surroundings(text []byte) (before, after []byte, err error) {
	begin, end := bytes.Index(text, []byte(beginMarker)), bytes.Index(text, []byte(endMarker))
	if begin < 0 || end < begin {
		return nil, nil, fmt.Errorf("exists and has no markers %s %s", beginMarker, endMarker)
	}
	return text[:begin+len(beginMarker)], text[end:], nil
}
