package filter

import "strings"

// word is one word or sign of an expression.
type word struct {
	text   string
	offset int
	quoted bool // a value even if it looks like a sign or a keyword
}

// signs that end a word, the longer ones first.
var signs = [...]string{"&&", "||", "==", "!=", "<=", ">=", "(", ")", "!", "=", "<", ">"}

// signAt returns the sign that s begins with, or "".
func signAt(s string) string {
	for _, sign := range signs {
		if strings.HasPrefix(s, sign) {
			return sign
		}
	}
	return ""
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// split cuts the input into words. It fails only on a quote without its end.
func split(input string) ([]word, error) {
	var words []word
	for i := 0; i < len(input); {
		switch sign := signAt(input[i:]); {
		case blank(input[i]):
			i++
		case sign != "":
			words = append(words, word{text: sign, offset: i})
			i += len(sign)
		case input[i] == '"' || input[i] == '\'':
			text, n := unquote(input[i:])
			if n == 0 {
				return nil, &Error{Input: input, Offset: i, Word: input[i:], Expected: []string{"a closing quote"}}
			}
			words = append(words, word{text: text, offset: i, quoted: true})
			i += n
		default:
			n := wordLen(input[i:])
			words = append(words, word{text: input[i : i+n], offset: i})
			i += n
		}
	}
	return words, nil
}

// wordLen returns the length of the plain word that s begins with.
func wordLen(s string) int {
	for i := range len(s) {
		if blank(s[i]) || s[i] == '"' || s[i] == '\'' || signAt(s[i:]) != "" {
			return i
		}
	}
	return len(s)
}

// unquote reads the quoted value that s begins with and returns it with its
// length in s, or 0 if the quote does not end. A backslash takes the next
// character as it is, in double quotes only.
func unquote(s string) (string, int) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i + 1
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0
}

// Quote returns the value in a form that split reads back as one word.
func Quote(s string) string {
	plain := s != "" && wordLen(s) == len(s) && !reserved(s) && !strings.HasSuffix(s, ",")
	if plain {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// reserved reports whether the word joins terms or compares, and so cannot be a
// value without quotes.
func reserved(s string) bool {
	if _, ok := readComparison(s); ok {
		return true
	}
	switch s {
	case "and", "or", "not":
		return true
	}
	return false
}
