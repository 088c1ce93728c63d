package track

import (
	"time"

	"mptcpctl/mptcp"
)

// question is what the kernel is to be asked about the connection of an event, because
// the event alone does not tell. The zero value asks nothing.
type question struct {
	after   time.Duration // when; 0: nothing is asked
	sample  bool          // ask for the subflows too
	closed  bool          // the event is CLOSED
	unknown bool          // no connection with the token was known
}

// ask has the kernel asked about the connection of the event.
func (t *Tracker) ask(e *mptcp.Event, q question) {
	if q.after == 0 {
		return
	}
	c := t.check(e, q.after)
	c.sample = c.sample || q.sample
	if q.closed {
		c.closedAt, c.orphan = e.Time, c.orphan || q.unknown
	}
}

// doubt asks about the connection of an event that may be older than the last dump, as
// are those that waited in the socket meanwhile.
func (t *Tracker) doubt(e *mptcp.Event) question {
	if t.reconciler.mayBeOlder(e) {
		return question{after: 10 * soon, sample: true}
	}
	return question{}
}

// lookForJoins asks for the subflows where the path manager may now be making joins:
// the kernel announces them only when they are up or over.
func (t *Tracker) lookForJoins(e *mptcp.Event) question {
	n := findNamespace(t.namespaces, e.Netns)
	if n == nil || t.config.Sample < 0 {
		return question{}
	}
	joins := e.Type == mptcp.EventAnnounced || len(n.snapshot.Endpoints) > 0 || n.snapshot.PathManager == "userspace"
	if joins && t.sampler.look() {
		return question{after: 10 * soon, sample: true}
	}
	return question{}
}
