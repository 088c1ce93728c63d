package cli

import (
	"context"
	"iter"

	"mptcpctl/internal/compat/pmnlctl"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// pathManagerView is what the commands that only show need of a path manager: the
// kernel's, that of another namespace, or a recorded one.
type pathManagerView interface {
	Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error]
	Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error)
	Limits(ctx context.Context) (mptcp.Limits, error)
}

// pathManager is what the commands need of the kernel's path manager.
type pathManager interface {
	pathManagerView
	pmnlctl.PathManager // all of its commands: pm_nl_ctl has one for each

	Close() error
}

// dialPathManager opens the path manager of the namespace that the program is in.
func dialPathManager() (pathManager, error) {
	client, err := pathmanager.Dial(nil)
	if err != nil {
		return nil, err // and not a nil *Client in an interface
	}
	return client, nil
}

// pathManager returns the path manager, which all commands of a batch share.
func (a *app) pathManager() (pathManager, error) {
	if a.pm == nil {
		pm, err := a.dial()
		if err != nil {
			return nil, err
		}
		a.pm = pm
	}
	return a.pm, nil
}

// allEndpoints returns the whole list.
func allEndpoints(ctx context.Context, pm pathManagerView) ([]mptcp.Endpoint, error) {
	var all []mptcp.Endpoint
	for e, err := range pm.Endpoints(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
