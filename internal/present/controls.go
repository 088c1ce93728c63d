package present

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// isControl reports whether a terminal or an editor acts on the character instead of
// showing it: control characters (C0, DEL, C1), those that change the direction of text
// or have no width, and the two separators of lines and paragraphs.
func isControl(r rune) bool {
	return r >= 0x7f && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029') ||
		r < 0x20
}

// EscapeJSON returns the JSON text with the control characters in its strings written
// as \uXXXX, which says the same: JSON allows most of them as they are, and terminals act
// on them. All JSON that is printed or served goes through it. It returns text itself
// where there is nothing to escape.
func EscapeJSON(text []byte) []byte {
	for i := 0; i < len(text); {
		if text[i] < 0x7f {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if isControl(r) {
			return escapeFrom(text, i)
		}
		i += size
	}
	return text
}

// escapeFrom is EscapeJSON of a text whose first character to escape is at the index.
func escapeFrom(text []byte, at int) []byte {
	out := append(make([]byte, 0, len(text)+64), text[:at]...)
	for rest := text[at:]; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		if r >= 0x7f && isControl(r) { // below, only the line breaks between values are raw
			out = appendUnicode(out, r)
		} else {
			out = append(out, rest[:size]...)
		}
		rest = rest[size:]
	}
	return out
}

// appendUnicode appends the character as JSON writes it in ASCII.
func appendUnicode(b []byte, r rune) []byte {
	const surrogates = 0x10000
	if r >= surrogates {
		r -= surrogates
		return appendUnicode(appendUnicode(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
	}
	return append(
		b, '\\', 'u', hexDigit(byte(r>>12)&0xf), hexDigit(byte(r>>8)&0xf), hexDigit(byte(r>>4)&0xf),
		hexDigit(byte(r)&0xf),
	)
}

// EscapeControls returns the text with its control characters, but line breaks, shown as
// [Escape] shows them. Unlike there, everything else stays as it is: for formats that have
// an escape for backslashes and line breaks of their own.
func EscapeControls(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && (r == '\n' || !isControl(r))
	}
	if clean {
		return s
	}
	var b []byte
	for _, r := range s {
		if r == '\n' || !isControl(r) {
			b = utf8.AppendRune(b, r)
			continue
		}
		quoted := strconv.AppendQuoteRuneToASCII(nil, r)
		b = append(b, quoted[1:len(quoted)-1]...)
	}
	return string(b)
}
