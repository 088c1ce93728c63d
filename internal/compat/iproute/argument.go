package iproute

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"mptcpctl/internal/exit"
)

// ArgumentError is a wrong argument of the commands that have iproute2's grammar,
// in iproute2's words.
type ArgumentError struct {
	Text string // of the line, as ip prints it
	Code int    // the exit code

	Word  string   // the word that is none of Names, "" where something else is wrong
	Names []string // the flags and keywords that could stand there
}

// Error returns the words without what only belongs to the line of ip.
func (e *ArgumentError) Error() string {
	return strings.TrimRight(strings.TrimPrefix(e.Text, "Error: "), ".\n")
}

// wrongArgument is iproute2's invarg. Some of its reasons end in a line break.
func wrongArgument(why, argument string) error {
	return &ArgumentError{Text: fmt.Sprintf("Error: argument %q is wrong: %s", argument, why), Code: exit.IPUsage}
}

// missingArgument is iproute2's missarg.
func missingArgument(name string) error {
	return &ArgumentError{Text: fmt.Sprintf("Error: argument %q is required", name), Code: exit.IPUsage}
}

// wrongAddress is the complaint about a word that is neither flag nor keyword nor
// address.
func wrongAddress(word string) error {
	text := fmt.Sprintf("Error: any valid address is expected rather than %q.", word)
	return &ArgumentError{Text: text, Code: exit.IPBadAddress, Word: word, Names: endpointWords()}
}

// incompleteLine is the complaint about a keyword without its value.
func incompleteLine() error {
	return &ArgumentError{Text: `Command line is not complete. Try option "help"`, Code: exit.IPUsage}
}

// refused is what the kernel would answer to a request that pathmanager does not
// even send, in the kernel's words.
func refused(words string) error {
	return &ArgumentError{Text: "Error: " + words + ".", Code: exit.IPRefused}
}

// words reads the arguments of a command one after the other.
type words struct{ rest []string }

// value returns the word behind a keyword.
func (w *words) value() (string, error) {
	if len(w.rest) == 0 {
		return "", incompleteLine()
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word, nil
}

// ParseUint reads a number as strtoul does with base 0: decimal, 0x hexadecimal,
// 0 octal.
func ParseUint(s string, limit uint64) (uint64, bool) {
	digits, base := s, 10
	switch {
	case len(s) > 2 && (s[:2] == "0x" || s[:2] == "0X"):
		digits, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		digits, base = s[1:], 8
	}
	n, err := strconv.ParseUint(digits, base, 64)
	return n, err == nil && n <= limit
}

// parseAddress reads an address as iproute2 does: IPv6 where there is a colon,
// else up to four numbers of any base, filled up with zeros at the end ("10.1" is
// 10.1.0.0).
func parseAddress(s string) (netip.Addr, bool) {
	if strings.Contains(s, ":") {
		a, err := netip.ParseAddr(s)
		return a, err == nil && a.Zone() == ""
	}
	var octets [4]byte
	parts := strings.Split(s, ".")
	if len(parts) > len(octets) {
		return netip.Addr{}, false
	}
	for i, part := range parts {
		n, ok := ParseUint(part, math.MaxUint8)
		if !ok {
			return netip.Addr{}, false
		}
		octets[i] = byte(n)
	}
	return netip.AddrFrom4(octets), true
}

// isAnyWord reports whether iproute2 takes the word for an address without bytes.
func isAnyWord(s string) bool { return s == "any" || s == "all" || s == "default" }
