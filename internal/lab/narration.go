package lab

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
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

func (n *narration) Output(terminal string, line Line) {
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

func (t *textNarrator) Output(terminal string, line Line) {
	fmt.Fprintf(t.w, "%s | %s\n", terminal, line.Text)
}

// WriteTable writes the promises beside what was seen, one a line.
func (r Report) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tPROMISED\tSEEN")
	for _, p := range r.Promises {
		mark, seen := "ok", p.Seen
		if !p.Kept {
			mark = "NO"
		}
		if seen == "" {
			seen = "not reached"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", mark, p.Text, strings.Join(strings.Fields(seen), " "))
	}
	return table.Flush()
}
