package runner

import (
	"fmt"
	"io"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/present"
)

// narrator shows what happens in the lab as the terminals would.
type narrator struct {
	out    io.Writer
	colors present.Palette
	steps  int
}

// title writes a headline.
func (n *narrator) title(text string) {
	fmt.Fprintf(n.out, "\n%s== %s%s\n", n.colors.Bold, text, n.colors.Reset)
}

// Step begins a step.
func (n *narrator) Step(title string) {
	n.steps++
	fmt.Fprintf(n.out, "\n%s%d. %s%s\n", n.colors.Bold, n.steps, title, n.colors.Reset)
}

// Command shows a command behind the prompt of its terminal.
func (n *narrator) Command(terminal, command string) {
	fmt.Fprintf(n.out, "%s%s#%s %s\n", n.colors.Good, terminal, n.colors.Reset, command)
}

// Input shows what is typed into a command that runs.
func (n *narrator) Input(terminal, text string) {
	fmt.Fprintf(n.out, "%s%s <%s %s\n", n.colors.Dim, terminal, n.colors.Reset, text)
}

// Output shows a line of a command. The lines are this program's own and escaped
// where they have to be.
func (n *narrator) Output(terminal string, line lab.Line) {
	fmt.Fprintf(n.out, "%s%s |%s %s\n", n.colors.Dim, terminal, n.colors.Reset, line.Text)
}
