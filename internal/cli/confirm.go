package cli

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
)

// yesFlag is -y of commands that ask.
func yesFlag(summary string) grammar.Flag {
	return grammar.Flag{Name: "yes", Letter: 'y', Summary: summary}
}

// confirm asks whether to go on: on a terminal the user, elsewhere -y must have
// said so. It returns nil for a yes.
func confirm(ctx context.Context, inv *grammar.Invocation, question string) error {
	if inv.Has("yes") {
		return nil
	}
	stdin, ok := inv.Stdin.(*os.File)
	if !ok || !line.IsTerminal(stdin) {
		return inv.Usage("there is no terminal to ask for confirmation: add -y")
	}
	fmt.Fprintf(inv.Stderr, "%s [y/N] ", question)
	answers := make(chan string, 1)
	go func() { // what cannot be read is no yes; after an interrupt the program ends
		answer, _ := bufio.NewReader(stdin).ReadString('\n')
		answers <- strings.ToLower(strings.TrimSpace(answer))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(inv.Stderr)
		return ctx.Err()
	case answer := <-answers:
		if answer == "y" || answer == "yes" {
			return nil
		}
	}
	fmt.Fprintln(inv.Stderr, "nothing changed")
	return exit.Status(exit.Failed)
}
