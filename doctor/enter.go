package doctor

import (
	"slices"
	"strings"
)

// commandsInside are the commands among the fixes that act on the network namespace
// that they run in.
var commandsInside = [...]string{"mptcpctl", "sysctl", "ip", "nft", "ss", "traceroute"}

// ofHost are words of commands that act on the host, wherever they run.
var ofHost = [...]string{"net.core.rmem_max", "net.ipv4.tcp_mem"}

// enterFixes changes the commands of the finding's fixes so that they act on the
// view's network namespace, also when they are typed in another one.
func (v *view) enterFixes(f *Finding) {
	if v.Enter == "" || f.host {
		return
	}
	named := v.Enter == v.Netns || strings.Trim(v.Enter, "0123456789") != ""
	fixes := make([]string, len(f.Fix))
	for i, fix := range f.Fix {
		fixes[i] = entered(fix, v.Enter, named)
	}
	f.Fix = fixes
}

// entered changes the commands of a fix. They stand at its beginning, behind a colon
// or "&&"; its remark stands behind three spaces, and other hosts are named in front.
func entered(fix, namespace string, named bool) string {
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
		b.WriteString(enteredCommand(command, namespace, named))
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
func enteredCommand(text, namespace string, named bool) string {
	program, arguments, _ := strings.Cut(text, " ")
	switch {
	case !slices.Contains(commandsInside[:], program), strings.HasPrefix(arguments, "-n "), strings.HasPrefix(arguments, "-a "):
		return text
	case program == "mptcpctl":
		return "mptcpctl -n " + shellWord(namespace) + " " + arguments
	case program == "ip" && named:
		return "ip -n " + shellWord(namespace) + " " + arguments
	case named:
		return "ip netns exec " + shellWord(namespace) + " " + text
	}
	return "nsenter -n -t " + shellWord(namespace) + " " + text
}
