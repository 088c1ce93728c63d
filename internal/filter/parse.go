package filter

import "errors"

// parser walks over the words of one expression.
type parser struct {
	input string
	words []word
	next  int
	terms []Term // the language
}

func (p *parser) done() bool { return p.next == len(p.words) }

// at reports whether the next word is one of these keywords or signs.
func (p *parser) at(keywords ...string) bool {
	if p.done() || p.words[p.next].quoted {
		return false
	}
	for _, k := range keywords {
		if p.words[p.next].text == k {
			return true
		}
	}
	return false
}

func (p *parser) take(keywords ...string) bool {
	if p.at(keywords...) {
		p.next++
		return true
	}
	return false
}

// want returns an error at the next word.
func (p *parser) want(expected ...string) *Error {
	e := &Error{Input: p.input, Offset: len(p.input), Expected: expected}
	if !p.done() {
		e.Offset, e.Word = p.words[p.next].offset, p.words[p.next].text
	}
	return e
}

func (p *parser) or(depth int) (node, error) {
	var terms []node
	for {
		n, err := p.and(depth)
		if err != nil {
			return node{}, err
		}
		terms = append(terms, n)
		if !p.take("or", "||") {
			return join(kindOr, terms), nil
		}
	}
}

func (p *parser) and(depth int) (node, error) {
	var terms []node
	for {
		n, err := p.not(depth)
		if err != nil {
			return node{}, err
		}
		terms = append(terms, n)
		if !p.take("and", "&&") && (p.done() || p.at("or", "||", ")")) {
			return join(kindAnd, terms), nil
		}
	}
}

func (p *parser) not(depth int) (node, error) {
	if depth > maxDepth {
		return node{}, p.want("fewer nested parentheses")
	}
	switch {
	case p.take("not", "!"):
		n, err := p.not(depth + 1)
		return negate(n), err
	case p.take("("):
		n, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.want("and", "or", ")")
		}
		return n, err
	}
	return p.term()
}

func (p *parser) term() (node, error) {
	if !p.done() && !p.words[p.next].quoted {
		for i := range p.terms {
			if t := &p.terms[i]; t.Word == p.words[p.next].text || t.short != "" && t.short == p.words[p.next].text {
				p.next++
				n, err := t.parse(p)
				if wrong, ok := errors.AsType[*Error](err); ok && wrong.Unknown != "" {
					wrong.Names = t.names()
				}
				return n, err
			}
		}
	}
	expected, names := []string{"not", "("}, []string{"and", "or", "not"}
	for _, t := range p.terms {
		expected, names = append(expected, t.Word), append(names, t.Word)
	}
	e := p.want(expected...)
	e.Unknown, e.Names = e.Word, names
	return node{}, e
}

// relation reads an optional comparison. Where only equality makes sense, ordered
// is false.
func (p *parser) relation(ordered bool) (comparison, error) {
	if p.done() || p.words[p.next].quoted {
		return equal, nil
	}
	c, ok := readComparison(p.words[p.next].text)
	if !ok {
		return equal, nil
	}
	if !ordered && c != equal && c != notEqual {
		return 0, p.want("=", "!=", "a value")
	}
	p.next++
	return c, nil
}

// value reads one value by means of read; expected describes it. In the error, Unknown
// is a value that read refused.
func (p *parser) value(read func(text string) (node, bool), expected ...string) (node, error) {
	if p.done() || !p.words[p.next].quoted && reserved(p.words[p.next].text) || p.at("(", ")", "!", "&&", "||") {
		return node{}, p.want(expected...)
	}
	n, ok := read(p.words[p.next].text)
	if !ok {
		e := p.want(expected...)
		e.Unknown = e.Word
		return node{}, e
	}
	p.next++
	return n, nil
}

// equality reads `[=|!=] VALUE`.
func (p *parser) equality(read func(text string) (node, bool), expected ...string) (node, error) {
	c, err := p.relation(false)
	if err != nil {
		return node{}, err
	}
	n, err := p.value(read, expected...)
	if err == nil && c == notEqual {
		n = negate(n)
	}
	return n, err
}

// number reads `[COMPARISON] VALUE`.
func (p *parser) number(read func(text string) (node, bool), expected ...string) (node, error) {
	c, err := p.relation(true)
	if err != nil {
		return node{}, err
	}
	n, err := p.value(read, expected...)
	if err != nil {
		return node{}, err
	}
	if c == notEqual {
		n.op = equal
		return negate(n), nil
	}
	n.op = c
	return n, nil
}
