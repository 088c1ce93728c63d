package filter

import "strings"

// Expr is a parsed expression. A nil Expr matches everything. An Expr is never
// changed, and safe for concurrent use.
type Expr struct {
	root    node
	devices func(ifindex int32) string
}

// maxDepth bounds how deep brackets and negations nest.
const maxDepth = 64

// Parse reads an expression from the words of a command line. Several words may be
// in one argument. Without any word it returns nil. An error is an [*Error].
func Parse(args ...string) (*Expr, error) {
	input := strings.Join(args, " ")
	words, err := split(input)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, nil
	}
	p := parser{input: input, words: words, terms: Terms()}
	root, err := p.or(0)
	if err != nil {
		return nil, err
	}
	if !p.done() {
		return nil, p.want("and", "or", "a further term")
	}
	return &Expr{root: root}, nil
}

// WithDevices returns the same expression with a way to find the name of an
// event's interface, for the terms `dev`. The function must not block and should
// not allocate: it is called for each event.
func (e *Expr) WithDevices(name func(ifindex int32) string) *Expr {
	if e == nil {
		return nil
	}
	return &Expr{root: e.root, devices: name}
}

// Within returns the same expression for the objects of one network namespace that
// do not name it, as those of the namespace that a command works in: what asks for it
// by that name asks for them.
func (e *Expr) Within(netns string) *Expr {
	if e == nil || netns == "" {
		return e
	}
	return &Expr{root: e.root.within(netns), devices: e.devices}
}

func (n *node) within(netns string) node {
	c := *n
	if c.kind == kindNetns && c.text == netns {
		c.text = ""
	}
	c.kids = make([]node, 0, len(n.kids))
	for i := range n.kids {
		c.kids = append(c.kids, n.kids[i].within(netns))
	}
	return c
}

// String returns the expression in its canonical form: Parse reads it back as the
// same expression. That of nil is empty.
func (e *Expr) String() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	e.root.appendTo(&b, kindOr)
	return b.String()
}
