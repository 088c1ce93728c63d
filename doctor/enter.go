package doctor

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

// sysctlFile keeps settings of the host's first network namespace, from boot to boot.
const sysctlFile = "/etc/sysctl.d/90-mptcp.conf"

// enter changes the commands among the fixes so that they act on the namespace, also
// when they are typed in the one that mptcpctl was called in.
func (f *Facts) enter(fixes []string) []string {
	if f.Enter == "" {
		return fixes
	}
	var changed []string
	for _, fix := range fixes {
		if !strings.HasSuffix(fix, sysctlFile) {
			changed = append(changed, f.Inside(fix))
		}
	}
	return changed
}

// Inside returns a command as it is to be typed where mptcpctl was called, so that it
// acts on the network namespace of the facts.
func (f *Facts) Inside(command string) string {
	if f.Enter == "" {
		return command
	}
	return entered(command, f.Enter, f.entering())
}

// entering returns the words in front of a command that run it in the namespace.
func (f *Facts) entering() string {
	word := shell.Word(f.Enter)
	switch {
	case strings.Contains(f.Enter, "/"):
		return "nsenter --net=" + word + " "
	case f.Enter != f.Netns && strings.Trim(f.Enter, "0123456789") == "":
		return "nsenter -n -t " + word + " "
	}
	return "ip netns exec " + word + " "
}

// entered changes the commands of a fix. They stand at its beginning, behind a colon
// or "&&"; its remark stands behind three spaces, and other hosts are named in front.
func entered(fix, namespace, prefix string) string {
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
