package chronicle

import (
	"bytes"
	"errors"
	"fmt"
)

// reader walks over one JSON object without making values of what is in it.
type reader struct {
	rest []byte
}

var errCut = errors.New("it ends too early")

// mostNested is how deep arrays and objects may be nested.
const mostNested = 64

func (r *reader) blanks() {
	for len(r.rest) > 0 && bytes.IndexByte([]byte(" \t\r\n"), r.rest[0]) >= 0 {
		r.rest = r.rest[1:]
	}
}

// take takes this character.
func (r *reader) take(c byte) error {
	r.blanks()
	switch {
	case len(r.rest) == 0:
		return errCut
	case r.rest[0] != c:
		return fmt.Errorf("%q where %q belongs", r.rest[0], c)
	}
	r.rest = r.rest[1:]
	return nil
}

// next returns the next character that is no blank, 0 at the end.
func (r *reader) next() byte {
	r.blanks()
	if len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// end checks that nothing follows.
func (r *reader) end() error {
	if r.next() != 0 || len(r.rest) > 0 {
		return fmt.Errorf("%q behind the object", r.rest[0])
	}
	return nil
}

// object reads an object and gives its members, the keys without their quotes.
func (r *reader) object(member func(key, value []byte) error) error {
	if err := r.take('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		if r.next() == '}' && first {
			return r.take('}')
		}
		key, err := r.text()
		if err != nil {
			return err
		}
		if err := r.take(':'); err != nil {
			return err
		}
		r.blanks()
		before := r.rest
		if err := r.skip(mostNested); err != nil {
			return err
		}
		if err := member(key[1:len(key)-1], before[:len(before)-len(r.rest)]); err != nil {
			return err
		}
		if r.next() != ',' {
			return r.take('}')
		}
		r.rest = r.rest[1:]
	}
}

// text reads a string and returns it with its quotes.
func (r *reader) text() ([]byte, error) {
	if r.next() != '"' {
		return nil, errors.New("a string is missing")
	}
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '\\':
			i++
		case c == '"':
			text := r.rest[:i+1]
			r.rest = r.rest[i+1:]
			return text, nil
		case c < ' ':
			return nil, fmt.Errorf("control character %q in a string", c)
		}
	}
	return nil, errCut
}

// skip reads one value of any type.
func (r *reader) skip(deep int) error {
	switch c := r.next(); {
	case c == '"':
		_, err := r.text()
		return err
	case c == '{' || c == '[':
		if deep == 0 {
			return errors.New("nested too deep")
		}
		return r.skipAll(c, deep-1)
	}
	n := 0
	for n < len(r.rest) && bytes.IndexByte([]byte(" \t\r\n,:]}[{\""), r.rest[n]) < 0 {
		n++
	}
	if n == 0 {
		return errors.New("a value is missing")
	}
	r.rest = r.rest[n:]
	return nil
}

// skipAll reads an array, or an object.
func (r *reader) skipAll(open byte, deep int) error {
	if open == '{' {
		return r.nested(deep)
	}
	if err := r.take('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		if r.next() == ']' && first {
			return r.take(']')
		}
		if err := r.skip(deep); err != nil {
			return err
		}
		if r.next() != ',' {
			return r.take(']')
		}
		r.rest = r.rest[1:]
	}
}

func (r *reader) nested(deep int) error {
	if err := r.take('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		if r.next() == '}' && first {
			return r.take('}')
		}
		if _, err := r.text(); err != nil {
			return err
		}
		if err := r.take(':'); err != nil {
			return err
		}
		if err := r.skip(deep); err != nil {
			return err
		}
		if r.next() != ',' {
			return r.take('}')
		}
		r.rest = r.rest[1:]
	}
}
