package apply

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"

	"mptcpctl/internal/device"
	"mptcpctl/internal/policy"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// Config is what is to be applied, and how.
type Config struct {
	File      string
	Exclusive bool   // also take over, change and remove endpoints that others added
	Directory string // where it is kept which endpoints are the policy's; "": [Directory]

	Dial         func() (PathManager, error) // opens the path manager; who does so closes it
	Out          io.Writer                   // says what changes
	JSON, Pretty bool                        // the plan as JSON
	Warn         func(format string, args ...any)
}

// PathManager is what a policy needs of the kernel's path manager. Changes need
// CAP_NET_ADMIN in the network namespace.
type PathManager interface {
	Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error]
	Limits(ctx context.Context) (mptcp.Limits, error)
	AddEndpoint(ctx context.Context, e mptcp.Endpoint) error
	RemoveEndpoint(ctx context.Context, id mptcp.AddressID) error
	SetEndpointFlags(ctx context.Context, sel pathmanager.Selector, flags mptcp.EndpointFlags) error
	SetLimits(ctx context.Context, u pathmanager.LimitsUpdate) error
}

// Run is one use of a policy in the network namespace of the calling thread.
type Run struct {
	Config
	policy *policy.Policy
	pm     PathManager
	host   *hostReader
	record *recordFile
}

// Open reads the policy and opens what it is applied to. The caller closes it.
func Open(c *Config) (r *Run, err error) {
	r = &Run{Config: *c}
	fail := func(err error) (*Run, error) {
		r.Close()
		return nil, err
	}
	if r.policy, err = read(r.File); err != nil {
		return fail(err)
	}
	if r.pm, err = r.Dial(); err != nil {
		return fail(err)
	}
	if r.host, err = newHostReader(); err != nil {
		return fail(err)
	}
	if r.Directory == "" {
		r.Directory = Directory
	}
	if r.record, err = newRecordFile(r.Directory); err != nil {
		return fail(err)
	}
	return r, nil
}

// Close lets go of what Open opened, and of the lock.
func (r *Run) Close() {
	if r.host != nil {
		r.host.close()
	}
	if r.record != nil {
		r.record.close()
	}
}

func read(file string) (*policy.Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// view is what a plan is made of, and the plan.
type view struct {
	host    *policy.Host
	state   *policy.State
	plan    *policy.Plan
	missing []policy.Missing
}

// look gathers what there is and makes the plan.
func (r *Run) look(ctx context.Context) (*view, error) {
	host, err := r.host.read(ctx)
	if err != nil {
		return nil, err
	}
	now, err := gather(ctx, r.pm)
	if err != nil {
		return nil, err
	}
	state, err := r.record.load()
	if err != nil {
		return nil, err
	}
	v := &view{host: host, state: state}
	desired, missing := r.policy.Desired(host)
	v.missing = missing
	v.plan = r.policy.Plan(desired, now, state, r.Exclusive)
	return v, nil
}

// gather reads the limits and endpoints that there are.
func gather(ctx context.Context, pm PathManager) (p policy.Present, err error) {
	if p.Limits, err = pm.Limits(ctx); err != nil {
		return p, err
	}
	p.Endpoints, err = endpoints(ctx, pm)
	return p, err
}

// Plan says what Apply would change. It needs no privilege.
func (r *Run) Plan(ctx context.Context) error {
	v, err := r.look(ctx)
	if err != nil {
		return err
	}
	return r.writePlan(ctx, v)
}

// Apply makes the kernel's endpoints and limits as the file says.
func (r *Run) Apply(ctx context.Context) error {
	if err := r.record.lock(); err != nil {
		return err
	}
	v, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := r.writePlan(ctx, v); err != nil {
		return err
	}
	return r.carryOut(ctx, v)
}

// Export writes the present endpoints and limits as a policy file.
func Export(ctx context.Context, pm PathManager, w io.Writer) error {
	now, err := gather(ctx, pm)
	if err != nil {
		return err
	}
	_, err = w.Write(policy.Export(now, device.Name))
	return err
}

// endpoints returns the whole list.
func endpoints(ctx context.Context, pm PathManager) ([]mptcp.Endpoint, error) {
	var all []mptcp.Endpoint
	for e, err := range pm.Endpoints(ctx) {
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}
