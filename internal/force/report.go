package force

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"

	"mptcpctl/mptcp"
)

// maxObserved bounds the sockets that a report can tell of.
const maxObserved = 1 << 14

// Used is what the kernel says of an MPTCP socket.
type Used struct {
	State         mptcp.SocketState
	Fallback      bool // it fell back to TCP
	Subflows      int  // now, the initial one included
	Local, Remote netip.AddrPort
}

// observed is a socket with what was seen of it.
type observed struct {
	Socket
	last   Used      // as last seen connected or listening
	at     time.Time // when that was; zero: never
	most   int       // subflows at most
	missed int       // looks in a row at which the kernel did not know it
}

// missedAtMost is how many looks may miss a socket before it counts as ended: one
// that is not connected yet, or falls back by a blackhole's memory, is unknown to
// the kernel's tables too, and may still come.
const missedAtMost = 3

// watched reports whether the socket is worth another look.
func (o *observed) watched() bool {
	return o.Cookie != 0 && (o.at.IsZero() || o.missed < missedAtMost)
}

// look takes in what a look at the kernel showed.
func (o *observed) look(used Used, known bool, now time.Time) {
	if !known {
		o.missed++
		return
	}
	o.missed = 0
	if used.State == mptcp.StateClosed && !o.at.IsZero() {
		return // what it was before says more
	}
	if used.Subflows == 0 && used.State != mptcp.StateListen && o.most > 0 {
		used.Subflows = o.last.Subflows // on its way to the end
	}
	o.last, o.at = used, now
	o.most = max(o.most, used.Subflows)
}

// report is all that is known at the end.
type report struct {
	Sockets []*observed
	Lost    int
	Served  bool // the supervisor got the listener
	Alive   bool // descendants run on
	Looked  bool // there was somebody to ask about the sockets
	Silent  error
}

// text renders the report, each line in the name of the program.
func (r *report) text(name string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, name+": "+format+"\n", args...) }
	switch {
	case !r.Served && r.Silent != nil:
		line("nothing to report here: another supervisor served this program, or it did not start")
		return b.String()
	case r.Silent != nil:
		line("the supervisor is gone (%v): the report may not be complete", r.Silent)
	}
	asked := len(r.Sockets) + r.Lost
	if asked == 0 {
		line("the program asked for no TCP socket")
	} else {
		made := 0
		for _, s := range r.Sockets {
			if s.Cookie != 0 {
				made++
			}
		}
		line("%s asked for, %d made with MPTCP", count(asked, "TCP socket"), made)
	}
	for _, s := range r.Sockets {
		line("  %s[%d] %s", escape(s.Name), s.PID, r.fate(s))
	}
	if r.Lost > 0 {
		line("  and %d more that are not listed", r.Lost)
	}
	if r.Alive {
		line("processes that it started continue with MPTCP; their later sockets are not in this report")
	}
	return b.String()
}

// fate tells what became of a socket.
func (r *report) fate(s *observed) string {
	switch {
	case s.Why == unremarkable:
		return "TCP: no MPTCP socket could be opened"
	case s.Cookie == 0:
		return "TCP: " + s.Why
	case !r.Looked:
		return "MPTCP socket"
	case s.at.IsZero():
		return "MPTCP socket, never seen connected: not used, or for less than " + often.String() + " at a time"
	}
	u := s.last
	switch {
	case u.State == mptcp.StateListen:
		return fmt.Sprintf("listening with MPTCP on %v (accepted connections are not followed)", u.Local)
	case u.State == mptcp.StateClosed || !u.Remote.IsValid():
		return "MPTCP socket, not connected when last seen"
	case u.Fallback:
		return fmt.Sprintf("%v -> %v fell back to TCP%s", u.Local, u.Remote, seen(s))
	}
	text := fmt.Sprintf("%v -> %v MPTCP, %s", u.Local, u.Remote, count(u.Subflows, "subflow"))
	if s.most > u.Subflows {
		text += fmt.Sprintf(" at the end, %d at most", s.most)
	}
	if u.State == mptcp.StateSynSent {
		text += ", still connecting"
	}
	return text + seen(s)
}

// seen tells when the facts are from: what was over between two looks is reported
// from the last one.
func seen(s *observed) string {
	return fmt.Sprintf(" (last seen %.2f s after it was opened)", s.at.Sub(s.Time).Seconds())
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// escape makes a process's name fit for a terminal.
func escape(name string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
