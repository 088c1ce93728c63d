package apply

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/internal/device"
	"mptcpctl/internal/managers"
	"mptcpctl/internal/policy"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// writePlan says what is to change, what is left alone, and why.
func (r *Run) writePlan(ctx context.Context, v *view) error {
	if r.JSON {
		plan := planObject(v)
		plan.Notes = r.limitNotes(v)
		return present.JSON(r.Out, plan, r.Pretty)
	}
	w := r.Out
	if v.plan.Limits != nil {
		fmt.Fprintf(
			w, "limits: subflows %d add_addr_accepted %d\n", v.plan.Limits.Subflows, v.plan.Limits.AddAddrAccepted,
		)
	}
	for _, note := range r.limitNotes(v) {
		fmt.Fprintln(w, "note: "+note)
	}
	for _, c := range v.plan.Changes {
		fmt.Fprintln(w, changeText(c))
	}
	if v.plan.Empty() {
		fmt.Fprintln(w, "nothing to change")
	}
	for _, m := range v.missing {
		fmt.Fprintf(w, "not now: %v\n", m)
	}
	r.writeLeft(w, v.plan.Left)
	r.writeManagers(ctx, w, len(v.plan.Left))
	return nil
}

// limitNotes tells of limits that not every kernel takes.
func (r *Run) limitNotes(v *view) []string {
	keys := r.policy.LimitsAbove(policy.SafeLimit)
	if v.plan.Limits == nil || len(keys) == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("kernels before Linux 7.2 refuse limits above %d: %s", policy.SafeLimit, strings.Join(keys, ", ")),
	}
}

func (r *Run) writeLeft(w io.Writer, left []policy.Left) {
	for _, l := range left {
		if l.InTheWay {
			fmt.Fprintf(
				w, "in the way: %s does not belong to the policy, which wants %s (--exclusive takes it over)\n",
				endpointText(l.Endpoint), endpointText(l.Wanted),
			)
		} else if l.AsWanted() {
			fmt.Fprintf(w, "left alone: %s is already as wanted, but others added it (--exclusive takes it over)\n",
				endpointText(l.Endpoint))
		} else {
			fmt.Fprintf(w, "left alone: %s does not belong to the policy\n", endpointText(l.Endpoint))
		}
	}
}

// changeText says one change in a line.
func changeText(c policy.Change) string {
	switch c.Kind {
	case policy.Add:
		return "add " + endpointText(c.After)
	case policy.Remove:
		return "remove " + endpointText(c.Before)
	case policy.TakeOver:
		return "take over " + endpointText(c.Before) + ": it is as wanted"
	}
	return fmt.Sprintf("%v %s: to %s", c.Kind, endpointText(c.Before), endpointText(c.After))
}

// endpointText is an endpoint in the words of `endpoint add`.
func endpointText(e mptcp.Endpoint) string {
	parts := []string{e.Address.String()}
	if e.Port != 0 {
		parts = append(parts, fmt.Sprintf("port %d", e.Port))
	}
	if e.ID != 0 {
		parts = append(parts, fmt.Sprintf("id %d", e.ID))
	}
	if e.Flags != 0 {
		parts = append(parts, e.Flags.String())
	}
	if e.IfIndex != 0 {
		parts = append(parts, "dev "+device.Name(e.IfIndex))
	}
	return strings.Join(parts, " ")
}

// writeManagers names others that manage endpoints here.
func (r *Run) writeManagers(ctx context.Context, w io.Writer, left int) {
	if settings, err := counters.New("").Sysctls(); err == nil && settings.PathManagerName() == "userspace" {
		fmt.Fprintln(
			w, "note: new connections use the userspace path manager (mptcpd?), which ignores endpoints and limits",
		)
	}
	found, err := managers.Find(ctx, "/proc")
	if err != nil {
		return // a note less
	}
	for _, p := range slices.Concat(found.Here, found.Maybe) {
		fmt.Fprintf(
			w,
			"note: %s (pid %d) runs in this network namespace and may add and delete endpoints; %d do not belong to "+
				"the policy\n",
			p.Name,
			p.PID,
			left,
		)
	}
}

// planJSON is a plan as JSON.
type planJSON struct {
	Limits  *mptcp.Limits `json:"limits"`
	Changes []changeJSON  `json:"changes"`
	Left    []leftJSON    `json:"left"`
	Missing []missingJSON `json:"missing"`
	Notes   []string      `json:"notes,omitempty"`
}

type changeJSON struct {
	Change string `json:"change"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

type leftJSON struct {
	Endpoint string `json:"endpoint"`
	InTheWay bool   `json:"in_the_way"`
}

type missingJSON struct {
	Rule   int    `json:"rule"`
	Reason string `json:"reason"`
}

func planObject(v *view) planJSON {
	o := planJSON{Limits: v.plan.Limits, Changes: []changeJSON{}, Left: []leftJSON{}, Missing: []missingJSON{}}
	for _, c := range v.plan.Changes {
		one := changeJSON{Change: c.Kind.String()}
		if c.Kind != policy.Add {
			one.Before = endpointText(c.Before)
		}
		if c.Kind != policy.Remove {
			one.After = endpointText(c.After)
		}
		o.Changes = append(o.Changes, one)
	}
	for _, l := range v.plan.Left {
		o.Left = append(o.Left, leftJSON{endpointText(l.Endpoint), l.InTheWay})
	}
	for _, m := range v.missing {
		o.Missing = append(o.Missing, missingJSON(m))
	}
	return o
}
