package present

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Escape makes a foreign string safe for a terminal: control characters, invalid
// UTF-8 and characters that change the direction of text are shown as escapes.
func Escape(s string) string {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '\\' {
			return string(appendEscaped(nil, s))
		}
	}
	return s
}

// appendEscaped appends s with everything escaped that a terminal could act on.
func appendEscaped(b []byte, s string) []byte {
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, `\x`...)
			b = append(b, hexDigit(s[0]>>4), hexDigit(s[0]&0xf))
		case r == '\\':
			b = append(b, `\\`...)
		case unicode.IsPrint(r):
			b = utf8.AppendRune(b, r)
		default:
			quoted := strconv.AppendQuoteRuneToASCII(nil, r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		s = s[size:]
	}
	return b
}

func hexDigit(n byte) byte { return "0123456789abcdef"[n] }
