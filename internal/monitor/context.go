package monitor

import (
	"context"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// fewFlows is how many connections a monitor remembers without asking which of them
// there still are.
const fewFlows = 1 << 14

// Context knows the connections of the tokens that events carry, so that a
// filter can judge the events that carry nothing else, where no tracker runs that knows
// more. It starts from what the
// kernel has and follows the events. Not every connection ends with an event: now
// and then it forgets those that the kernel no longer has.
type Context struct {
	connections map[Flow]*flow
	most        int // of connections, before the kernel is asked

	// Present returns the connections that there are. nil: nothing is forgotten.
	Present func() (map[Flow]bool, error)
}

// Flow is what events name a connection by.
type Flow struct {
	Netns string
	Token mptcp.Token
}

// flow is a connection as far as the events tell it.
type flow struct {
	mptcp.Connection
	missed bool // the kernel did not have it when it was asked last
	// ended is the last event if a subflow ended with it: the event itself is judged by
	// the connection that still had the subflow.
	ended *mptcp.Event
}

// NewContext starts from the connections that are older than the monitor.
// Where they cannot be read the monitor goes on: it then knows those that come.
func NewContext(ctx context.Context, views []source.View) *Context {
	f := &Context{connections: map[Flow]*flow{}, most: fewFlows}
	for _, view := range views {
		snapshot, err := view.Snapshot(ctx)
		if err != nil {
			continue
		}
		for _, c := range track.Join(snapshot) {
			f.connections[Flow{c.Netns, c.Token}] = &flow{Connection: c}
		}
	}
	return f
}

// Present returns the connections that the views have.
func Present(ctx context.Context, views []source.View) (map[Flow]bool, error) {
	present := map[Flow]bool{}
	for _, view := range views {
		snapshot, err := view.Snapshot(ctx)
		if err != nil {
			return nil, err
		}
		for i := range snapshot.Connections {
			present[Flow{view.Netns(), snapshot.Connections[i].Token}] = true
		}
	}
	return present, nil
}

// follow takes the event in and returns its connection, nil where it is not
// known.
func (f *Context) follow(e *mptcp.Event) *mptcp.Connection {
	if !e.Has(mptcp.FieldToken) {
		return nil
	}
	key := Flow{e.Netns, e.Token}
	c := f.connections[key]
	if e.Type == mptcp.EventCreated {
		c = &flow{Connection: track.Begin(e)}
		f.connections[key] = c
		if len(f.connections) > f.most {
			f.forget()
		}
	}
	if c == nil {
		return nil
	}
	c.follow(e)
	if e.Type == mptcp.EventClosed {
		delete(f.connections, key)
	}
	return &c.Connection
}

// follow takes in an event of the connection. A subflow that it ends stays until the
// next event.
func (c *flow) follow(e *mptcp.Event) {
	if c.ended != nil {
		track.Follow(&c.Connection, c.ended)
		c.ended = nil
	}
	if e.Type == mptcp.EventSubflowClosed {
		ended := *e
		c.ended = &ended
		return
	}
	track.Follow(&c.Connection, e)
}

// forget forgets the connections that the kernel had neither now nor when it was
// asked before: of one that ended this moment events may still be queued.
func (f *Context) forget() {
	if f.Present != nil {
		if present, err := f.Present(); err == nil {
			for key, c := range f.connections {
				if !present[key] && c.missed {
					delete(f.connections, key)
				}
				c.missed = !present[key]
			}
		}
	}
	f.most = max(fewFlows, 2*len(f.connections))
}
