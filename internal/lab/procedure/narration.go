package procedure

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"mptcpctl/internal/lab"
)

// narration calls a narrator one at a time.
type narration struct {
	mu       sync.Mutex
	narrator Narrator
}

func (n *narration) Step(title string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.narrator.Step(title)
}

func (n *narration) Command(terminal, command string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.narrator.Command(terminal, command)
}

func (n *narration) Input(terminal, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.narrator.Input(terminal, text)
}

func (n *narration) Output(terminal string, line lab.Line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.narrator.Output(terminal, line)
}

// TextNarrator returns a narrator that writes plain text, as the terminals would
// show it. It writes the lines of commands as they are.
func TextNarrator(w io.Writer) Narrator { return &textNarrator{w: w} }

type textNarrator struct {
	w     io.Writer
	steps int
}

func (t *textNarrator) Step(title string) {
	t.steps++
	fmt.Fprintf(t.w, "\n%d. %s\n", t.steps, title)
}

func (t *textNarrator) Command(terminal, command string) {
	fmt.Fprintf(t.w, "[root@%s]# %s\n", terminal, command)
}

func (t *textNarrator) Input(terminal, text string) {
	fmt.Fprintf(t.w, "%s < %s\n", terminal, text)
}

func (t *textNarrator) Output(terminal string, line lab.Line) {
	fmt.Fprintf(t.w, "%s | %s\n", terminal, line.Text)
}

// WriteTable writes each promise with what was seen below it: the lines of the
// monitor are too long for a second column.
func (r Report) WriteTable(w io.Writer) error {
	var b strings.Builder
	for _, p := range r.Promises {
		mark, seen := "ok", p.Seen
		if !p.Kept {
			mark = "NO"
		}
		if seen == "" {
			seen = "not reached"
		}
		fmt.Fprintf(&b, "%s  %s\n      %s\n", mark, p.Text, strings.Join(strings.Fields(seen), " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
