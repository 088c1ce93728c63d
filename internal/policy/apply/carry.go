package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mptcpctl/internal/policy"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// carryOut does what the plan says, and records what is the policy's then. What
// fails does not keep the rest from being done.
func (r *Run) carryOut(ctx context.Context, v *view) error {
	var failed error
	if v.plan.Limits != nil {
		u := pathmanager.LimitsUpdate{
			Subflows:        &v.plan.Limits.Subflows,
			AddAddrAccepted: &v.plan.Limits.AddAddrAccepted,
		}
		if err := r.pm.SetLimits(ctx, u); err != nil {
			failed = fmt.Errorf("%s: [limits] %s: %w", r.File, r.limitKeys(), err)
		}
	}
	var done []policy.Change
	for _, change := range v.plan.Changes {
		if err := r.change(ctx, change); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		done = append(done, change)
	}
	return errors.Join(failed, r.remember(ctx, v, done))
}

// limitKeys names the limits of the file, the doubtful ones where there are such.
func (r *Run) limitKeys() string {
	keys := r.policy.LimitsAbove(policy.SafeLimit)
	if len(keys) == 0 {
		keys = r.policy.LimitsAbove(-1)
	}
	return strings.Join(keys, ", ")
}

// change carries out one change. What is gone already, or there already, is as it
// should be.
func (r *Run) change(ctx context.Context, c policy.Change) error {
	switch c.Kind {
	case policy.Remove:
		return r.remove(ctx, c.Before)
	case policy.Modify:
		return r.pm.SetEndpointFlags(ctx, pathmanager.Selector{ID: c.Before.ID}, c.After.Flags)
	case policy.TakeOver:
		return nil // the record is all that changes
	}
	return r.pm.AddEndpoint(ctx, c.After)
}

func (r *Run) remove(ctx context.Context, e mptcp.Endpoint) error {
	if err := r.pm.RemoveEndpoint(ctx, e.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// remember records what is the policy's now.
func (r *Run) remember(ctx context.Context, v *view, done []policy.Change) error {
	after, err := endpoints(ctx, r.pm)
	if err != nil {
		return err
	}
	state := policy.Record(v.state, done, after)
	if dropped := state.Refused &^ v.state.Refused; dropped != 0 {
		r.Warn("this kernel does not know the flag %v and dropped it", dropped)
	}
	return r.record.save(state)
}
