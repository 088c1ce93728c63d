package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"mptcpctl/internal/grammar"
)

// yesFlag is -y of commands that ask.
func yesFlag(summary string) grammar.Flag {
	return grammar.Flag{Name: "yes", Letter: 'y', Summary: summary}
}

// confirm asks whether to go on: on a terminal the user, elsewhere -y must have
// said so. It returns nil for a yes.
func confirm(inv *grammar.Invocation, question string) error {
	if inv.Has("yes") {
		return nil
	}
	stdin, ok := inv.Stdin.(*os.File)
	if !ok || !isTerminal(stdin) {
		return inv.Usage("there is no terminal to ask on: say -y")
	}
	fmt.Fprintf(inv.Stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	fmt.Fprintln(inv.Stderr, "nothing was changed")
	return exitStatus(codeFailed)
}
