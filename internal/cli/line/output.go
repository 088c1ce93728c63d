package line

import (
	"io"
	"os"
	"strings"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"

	"golang.org/x/sys/unix"
)

// Palette returns the colours that the options, the terminal and NO_COLOR
// (no-color.org) leave.
func Palette(inv *grammar.Invocation) present.Palette {
	switch inv.Options.Color {
	case grammar.ColorAlways:
		return present.Colors(true)
	case grammar.ColorNever:
		return present.Colors(false)
	}
	return present.Colors(os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(inv.Stdout))
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ASCIIOnly reports whether the locale cannot show more than ASCII.
func ASCIIOnly() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := os.Getenv(name); value != "" {
			value = strings.ToUpper(value)
			return !strings.Contains(value, "UTF-8") && !strings.Contains(value, "UTF8")
		}
	}
	return false
}

// Width returns the number of columns of the terminal, 0 where w is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
