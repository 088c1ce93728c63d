package cli

import (
	"context"

	"mptcpctl/internal/source"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// flowContext knows the connections of the tokens that events carry, so that a
// filter can judge the events that carry nothing else. It starts from what the
// kernel has and follows the events.
type flowContext struct {
	connections map[flowKey]*mptcp.Connection
}

// flowKey is what events name a connection by.
type flowKey struct {
	netns string
	token mptcp.Token
}

// newFlowContext starts from the connections that are older than the monitor.
// Where they cannot be read the monitor goes on: it then knows those that come.
func newFlowContext(ctx context.Context, views []source.View) *flowContext {
	f := &flowContext{connections: map[flowKey]*mptcp.Connection{}}
	for _, view := range views {
		snapshot, err := view.Snapshot(ctx)
		if err != nil {
			continue
		}
		for _, c := range track.Join(snapshot) {
			f.connections[flowKey{c.Netns, c.Token}] = &c
		}
	}
	return f
}

// of returns the connection that a derived event is about, nil where it is not
// known.
func (f *flowContext) of(k mptcp.Key) *mptcp.Connection {
	return f.connections[flowKey{k.Netns, k.Token}]
}

// follow takes the event in and returns its connection, nil where it is not
// known.
func (f *flowContext) follow(e *mptcp.Event) *mptcp.Connection {
	if !e.Has(mptcp.FieldToken) {
		return nil
	}
	key := flowKey{e.Netns, e.Token}
	c := f.connections[key]
	switch e.Type {
	case mptcp.EventCreated:
		c = &mptcp.Connection{Token: e.Token, Netns: e.Netns, Family: e.Family, Side: e.Side(), State: mptcp.StateEstablished}
		c.Local, _ = e.Local()
		c.Remote, _ = e.Remote()
		c.Subflows = []mptcp.Subflow{{Local: c.Local, Remote: c.Remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished}}
		f.connections[key] = c
	case mptcp.EventSubflowEstablished:
		if c != nil {
			s := mptcp.Subflow{LocalID: e.LocalID, RemoteID: e.RemoteID, BackupRemote: e.Backup != 0, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished}
			s.Local, _ = e.Local()
			s.Remote, _ = e.Remote()
			c.Subflows = append(c.Subflows, s)
		}
	case mptcp.EventClosed:
		delete(f.connections, key)
	}
	return c
}
