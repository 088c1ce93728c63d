// Package enter changes commands so that they act on a network namespace other than the
// one in which they are typed.
package enter

import (
	"slices"
	"strings"

	"mptcpctl/internal/shell"
)

// commandsInside are the commands among the fixes that act on the network namespace
// that they run in.
var commandsInside = [...]string{"mptcpctl", "sysctl", "ip", "nft", "ss", "traceroute"}

// ofHost are words of commands that act on the host, wherever they run.
var ofHost = [...]string{"net.core.rmem_max", "net.ipv4.tcp_mem"}

// Prefix returns the words in front of a command that run it in the namespace, which is
// given as `mptcpctl -n` takes it. Named says that digits alone are a name, and no process id.
func Prefix(namespace string, named bool) string {
	word := shell.Word(namespace)
	switch {
	case strings.Contains(namespace, "/"):
		return "nsenter --net=" + word + " "
	case !named && strings.Trim(namespace, "0123456789") == "":
		return "nsenter -n -t " + word + " "
	}
	return "ip netns exec " + word + " "
}

// Line changes the commands of a fix, with what Prefix returns. They stand at its beginning,
// behind a colon or "&&"; its remark stands behind three spaces, and other hosts are named in front.
func Line(fix, namespace, prefix string) string {
	text, remark, remarked := strings.Cut(fix, "   (")
	if strings.HasPrefix(text, "on the ") || strings.Contains(text, "on the peer") {
		return fix
	}
	for _, word := range ofHost {
		if strings.Contains(text, word) {
			return fix
		}
	}
	var b strings.Builder
	for rest := text; rest != ""; {
		command, separator, next := cutCommand(rest)
		b.WriteString(enteredCommand(command, namespace, prefix))
		b.WriteString(separator)
		rest = next
	}
	if remarked {
		b.WriteString("   (" + remark)
	}
	return b.String()
}

// cutCommand returns the text in front of the first separator, that, and the rest.
func cutCommand(text string) (command, separator, rest string) {
	at := len(text)
	for _, s := range [...]string{": ", " && "} {
		if i := strings.Index(text, s); i >= 0 && i < at {
			at, separator = i, s
		}
	}
	return text[:at], separator, text[min(at+len(separator), len(text)):]
}

// enteredCommand returns the command as it acts on the namespace; what is none, and
// what names its namespace, stays.
func enteredCommand(text, namespace, prefix string) string {
	program, arguments, _ := strings.Cut(text, " ")
	switch {
	case !slices.Contains(commandsInside[:], program),
		strings.HasPrefix(arguments, "-n "),
		strings.HasPrefix(arguments, "-a "):
		return text
	case program == "mptcpctl":
		return "mptcpctl -n " + shell.Word(namespace) + " " + arguments
	case program == "ip" && strings.HasPrefix(prefix, "ip "):
		return "ip -n " + shell.Word(namespace) + " " + arguments
	}
	return prefix + text
}
