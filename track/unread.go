package track

import (
	"errors"
	"fmt"
	"strings"
)

// Unread is the error of a [Source] that could read some of its namespaces, and not these.
// [Source.Snapshots] returns it beside the snapshots of the others.
type Unread struct {
	Netns []string // names, "" for the reader's own
	Err   error    // why the first of them could not be read
}

// Error names the first of the namespaces, and says how many there are.
func (u *Unread) Error() string {
	var b strings.Builder
	if len(u.Netns) > 0 {
		fmt.Fprintf(&b, "network namespace %s: ", u.Netns[0])
	}
	fmt.Fprintf(&b, "%v", u.Err)
	if more := len(u.Netns) - 1; more > 0 {
		fmt.Fprintf(&b, "; %d more could not be read", more)
	}
	return b.String()
}

// Unwrap returns why the first of the namespaces could not be read.
func (u *Unread) Unwrap() error { return u.Err }

// unread returns the error as one of some namespaces, nil if it is none or another.
func unread(err error) *Unread {
	u, _ := errors.AsType[*Unread](err)
	return u
}
