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
	connections map[mptcp.Token]*mptcp.Connection
}

// newFlowContext reads the connections that are older than the monitor. Where
// that fails the monitor goes on: it then knows those that come.
func newFlowContext(ctx context.Context) *flowContext {
	f := &flowContext{connections: map[mptcp.Token]*mptcp.Connection{}}
	host, err := source.Dial(nil)
	if err != nil {
		return f
	}
	defer host.Close()
	snapshot, err := host.Snapshot(ctx)
	if err != nil {
		return f
	}
	for _, c := range track.Join(snapshot) {
		f.connections[c.Token] = &c
	}
	return f
}

// follow takes the event in and returns its connection, nil where it is not
// known.
func (f *flowContext) follow(e *mptcp.Event) *mptcp.Connection {
	if !e.Has(mptcp.FieldToken) {
		return nil
	}
	c := f.connections[e.Token]
	switch e.Type {
	case mptcp.EventCreated:
		c = &mptcp.Connection{Token: e.Token, Netns: e.Netns, Family: e.Family, Side: e.Side(), State: mptcp.StateEstablished}
		c.Local, _ = e.Local()
		c.Remote, _ = e.Remote()
		c.Subflows = []mptcp.Subflow{{Local: c.Local, Remote: c.Remote, Initial: true, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished}}
		f.connections[e.Token] = c
	case mptcp.EventSubflowEstablished:
		if c != nil {
			s := mptcp.Subflow{LocalID: e.LocalID, RemoteID: e.RemoteID, BackupRemote: e.Backup != 0, State: mptcp.SubflowEstablished, TCP: mptcp.StateEstablished}
			s.Local, _ = e.Local()
			s.Remote, _ = e.Remote()
			c.Subflows = append(c.Subflows, s)
		}
	case mptcp.EventClosed:
		delete(f.connections, e.Token)
	}
	return c
}
