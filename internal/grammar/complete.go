package grammar

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Candidate is a word that may stand at the end of a command line.
type Candidate struct {
	Word    string
	Summary string
}

// Completion is what may stand at the end of a command line: words of the table,
// and values of a kind that only the host knows.
type Completion struct {
	Words []Candidate
	Kind  Kind
}

// Complete returns what may stand where the last of the words is begun; the words
// are those behind the program's name. Candidates are not yet filtered by the
// beginning, except that options come only where it is one.
func Complete(entries []Entry, words []string) Completion {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	words = words[:len(words)-1]
	var o Options
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		n, err := o.option(words)
		if err != nil {
			return Completion{Kind: globalKind(words[0])}
		}
		words = words[max(n, 1):]
	}
	if len(words) == 0 {
		if strings.HasPrefix(last, "-") {
			return Completion{Words: globalWords()}
		}
		return Completion{Words: entryWords(entries)}
	}
	entry, ok := Find(entries, words[0])
	if !ok {
		return Completion{}
	}
	row := entry.Build()
	return row.complete(entries, words[1:], last)
}

func (c *Command) complete(entries []Entry, words []string, last string) Completion {
	inv := Invocation{Command: c}
	rest, err := inv.options(words, len(c.Verbs) > 0)
	if err != nil {
		return c.flagValue(words)
	}
	if len(c.Verbs) > 0 && len(rest) > 0 {
		if verb := c.Verb(rest[0]); verb != nil && !(c.Lenient && !c.exact(rest[0])) {
			inv.enter(c, verb)
			return inv.Command.complete(entries, rest[1:], last)
		}
	}
	if strings.HasPrefix(last, "-") {
		return Completion{Words: append(flagWords(c), globalWords()...)}
	}
	var result Completion
	if len(c.Verbs) > 0 && len(rest) == 0 {
		for i := range c.Verbs {
			if v := &c.Verbs[i]; !v.Hidden {
				result.Words = append(result.Words, Candidate{v.Name, v.Summary})
			}
		}
	}
	target := c
	if verb := c.defaultVerb(); verb != nil && (c.Lenient || len(rest) > 0) {
		target = verb
	}
	own := target.operands(entries, rest)
	result.Words, result.Kind = append(result.Words, own.Words...), own.Kind
	return result
}

// operands returns what may follow these words, options apart.
func (c *Command) operands(entries []Entry, words []string) Completion {
	if len(words) > 0 {
		if k := c.keyword(words[len(words)-1]); k != nil && k.Value != None && !c.valueAt(words, len(words)-1) {
			return Completion{Words: choiceWords(k.Choices), Kind: k.Value}
		}
	}
	result := Completion{Words: choiceWords(c.Choices), Kind: c.Operand}
	if c.Operand == Subject {
		result.Words = entryWords(entries)
		if len(words) > 0 {
			result.Words = nil
			if entry, ok := Find(entries, words[0]); ok && len(words) == 1 {
				row := entry.Build()
				result.Words = choiceWords(row.verbNames())
			}
		}
	}
	for i := range c.Keywords {
		k := &c.Keywords[i]
		if !slices.Contains(words, k.Name) {
			result.Words = append(result.Words, Candidate{k.Name, k.Summary})
		}
	}
	return result
}

// valueAt reports whether the word at that place is a keyword's value.
func (c *Command) valueAt(words []string, at int) bool {
	value := false
	for _, word := range words[:at] {
		k := c.keyword(word)
		value = !value && k != nil && k.Value != None
	}
	return value
}

func (c *Command) keyword(word string) *Keyword {
	for i := range c.Keywords {
		if c.Keywords[i].Name == word {
			return &c.Keywords[i]
		}
	}
	return nil
}

// flagValue returns the values that the last word, an option, waits for.
func (c *Command) flagValue(words []string) Completion {
	word := words[len(words)-1]
	for i := range c.Flags {
		f := &c.Flags[i]
		if word == "--"+f.Name || len(word) > 1 && word[1] != '-' && word[len(word)-1] == f.Letter {
			return Completion{Words: choiceWords(f.Choices), Kind: f.Value}
		}
	}
	return Completion{Kind: globalKind(word)}
}

func globalKind(word string) Kind {
	word = strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-")
	for _, g := range Globals() {
		if Matches(word, g.Name) {
			return g.Value
		}
	}
	return None
}

func entryWords(entries []Entry) []Candidate {
	var words []Candidate
	for _, e := range entries {
		if c := e.Build(); !c.Hidden {
			words = append(words, Candidate{c.Name, c.Summary})
		}
	}
	return words
}

func globalWords() []Candidate {
	var words []Candidate
	for _, g := range Globals() {
		word := "-" + g.Name
		if strings.HasPrefix(g.Letter, "-") {
			word = "-" + word
		}
		words = append(words, Candidate{word, g.Summary})
	}
	return words
}

func flagWords(c *Command) []Candidate {
	var words []Candidate
	for _, f := range c.Flags {
		words = append(words, Candidate{"--" + f.Name, f.Summary})
		if f.Letter != 0 {
			words = append(words, Candidate{"-" + string(f.Letter), f.Summary})
		}
	}
	return words
}

func choiceWords(choices []string) []Candidate {
	var words []Candidate
	for _, choice := range choices {
		words = append(words, Candidate{Word: choice})
	}
	return words
}

// Shells returns the shells that WriteScript knows.
func Shells() []string { return []string{"bash", "zsh", "fish"} }

// WriteScript writes the shell's completion script. The script asks the program:
// `PROGRAM completion words -- WORD…` prints a candidate and its summary a line,
// separated by a tab, and ":file" where file names may stand.
func WriteScript(w io.Writer, shell, program string) error {
	script, ok := map[string]string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[shell]
	if !ok {
		return &UsageError{
			Path:    "completion",
			Message: "shell " + shell + " is unknown: want " + strings.Join(Shells(), ", "),
		}
	}
	_, err := fmt.Fprint(w, strings.ReplaceAll(script, "PROGRAM", program))
	return err
}

const bashScript = `# bash completion for PROGRAM
_PROGRAM() {
	local line word words=()
	COMPREPLY=()
	# The line is split by blanks here, not by COMP_WORDBREAKS: addresses have colons.
	read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
	[[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
	word=${words[-1]}
	local cut=${word%"${word##*[:=]}"}
	while IFS= read -r line; do
		line=${line%%$'\t'*}
		if [[ $line == :file ]]; then
			compopt -o filenames 2>/dev/null
			while IFS= read -r line; do
				COMPREPLY+=("$line")
			done < <(compgen -f -- "$word")
		elif [[ $line == "$word"* ]]; then
			COMPREPLY+=("${line#"$cut"}")
		fi
	done < <("${words[0]}" completion words -- "${words[@]:1}" 2>/dev/null)
}
complete -F _PROGRAM PROGRAM
`

const zshScript = `#compdef PROGRAM
# zsh completion for PROGRAM
_PROGRAM() {
	local line word summary
	local -a candidates
	while IFS= read -r line; do
		if [[ $line == :file ]]; then
			_files
			continue
		fi
		word=${line%%$'\t'*}
		summary=${line#*$'\t'}
		candidates+=("${word//:/\\:}:${summary}")
	done < <("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)
	(( ${#candidates} )) && _describe -V 'PROGRAM' candidates
}
if [[ ${funcstack[1]} == _PROGRAM ]]; then
	_PROGRAM "$@"
else
	compdef _PROGRAM PROGRAM
fi
`

const fishScript = `# fish completion for PROGRAM
function __PROGRAM_words
	set -l words (commandline -opc) (commandline -ct)
	for line in ($words[1] completion words -- $words[2..-1] 2>/dev/null)
		if test "$line" = ":file"
			__fish_complete_path (commandline -ct)
		else
			echo $line
		end
	end
end
complete -c PROGRAM -f -a '(__PROGRAM_words)'
`
