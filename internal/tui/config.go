package tui

import (
	"context"
	"errors"
	"io"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/filter"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// Config says what the view shows, and on what.
type Config struct {
	// Source is where the facts come from: the kernel or a recording. [Run] does
	// not close it.
	Source track.Source
	// Tracker adjusts the tracker over the source; nil means its defaults.
	Tracker *track.Config
	// NoEvents says why the source gives no events, "" where it does.
	NoEvents string
	// Title is what is looked at, where it is not this host: a network namespace, a
	// recording. It is foreign, and escaped.
	Title string

	// Replay says that the source is a recording: the view then goes by its times.
	Replay bool

	Filter *filter.Expr // what to begin with; nil: everything
	Screen Screen       // which to begin with; 0: the overview

	// Processes finds the processes that hold the sockets with these inodes; nil:
	// none are shown. It is called every few seconds, not in the drawing goroutine.
	Processes func(ctx context.Context, wanted func(inode uint32) bool) (map[uint32][]mptcp.Process, error)

	// Doctor diagnoses the namespace; nil where NoDoctor says why it cannot.
	Doctor   func(ctx context.Context) (doctor.Report, error)
	NoDoctor string

	// Changes reads the words of a command ("endpoint add …", "endpoint delete …",
	// "limits set …") and returns what would be done; nil: nothing may be changed.
	// An error says what is wrong with the words.
	Changes func(words []string) (Change, error)

	Input  io.Reader // keys; a terminal, else lines
	Output io.Writer
	Color  bool
	ASCII  bool
	// Plain prints lines in place of a screen: once, and again for each line of
	// input, or every Interval where Input is nil.
	Plain    bool
	Interval time.Duration  // of plain output without input; default 1 s
	Count    int            // how often plain output is printed without input; 0: until ctx ends
	Zone     *time.Location // of the times shown; nil: local
}

// Change is a change of the kernel's settings, ready to be made.
type Change struct {
	Text string // the command that does the same
	Make func(ctx context.Context) error
}

// Screen is one of the view's screens; its number is its key.
type Screen uint8

// The screens.
const (
	Overview Screen = iota + 1
	Connections
	Connection
	Events
	Endpoints
	Doctor
)

var screenNames = [...]string{"", "overview", "connections", "connection", "events", "endpoints", "doctor"}

// String returns the screen's name.
func (s Screen) String() string {
	if int(s) < len(screenNames) {
		return screenNames[s]
	}
	return ""
}

// ParseScreen returns the screen with that name or number.
func ParseScreen(name string) (Screen, bool) {
	for s := Overview; s <= Doctor; s++ {
		if name == s.String() || name == itoa(int(s)) {
			return s, true
		}
	}
	return 0, false
}

// ErrNotTerminal tells that the output, or the input, is no terminal to draw on.
var ErrNotTerminal = errors.New("not a terminal")
