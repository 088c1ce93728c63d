package main

import (
	"context"
	"errors"
	"net/netip"

	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// priorities makes events with all attributes: the priority of the initial
// subflow of held connections is changed again and again.
type priorities struct {
	pm      *pathmanager.Client
	release func()
	backup  bool
}

func newPriorities(ctx context.Context, held int) (*priorities, error) {
	pm, err := pathmanager.Dial(nil)
	if err != nil {
		return nil, err
	}
	release, err := hold(held)
	if err != nil {
		return nil, errors.Join(err, pm.Close())
	}
	p := &priorities{pm: pm, release: release}
	own := mptcp.Endpoint{ID: 1, Address: netip.MustParseAddr("127.0.0.1"), Flags: mptcp.FlagSubflow}
	if err := pm.AddEndpoint(ctx, own); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// change changes the priority once, which makes an event at both ends of every
// connection.
func (p *priorities) change(ctx context.Context) error {
	p.backup = !p.backup
	flags := mptcp.EndpointFlags(0)
	if p.backup {
		flags = mptcp.FlagBackup
	}
	return p.pm.SetEndpointFlags(ctx, pathmanager.Selector{ID: 1}, flags)
}

func (p *priorities) close() {
	_ = p.pm.Close() // a socket that is not used any more
	p.release()
}
