package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/policy"
)

func (a *app) policyCommand() grammar.Command {
	return grammar.Command{
		Name:      "policy",
		Summary:   "endpoints and limits as a file says, and kept so",
		Help:      policyHelp,
		Privilege: "plan and export: none; apply and watch: CAP_NET_ADMIN in the network namespace",
		Verbs: []grammar.Command{
			a.policyVerb("plan", "what `apply` would change", a.policyPlan,
				grammar.Example{Line: "policy plan /etc/mptcpctl/policy.toml", Meaning: "look before applying"}),
			a.policyVerb("apply", "make the kernel's endpoints and limits as the file says", a.policyApply,
				grammar.Example{Line: "policy apply /etc/mptcpctl/policy.toml", Meaning: "the second time changes nothing"}),
			a.policyVerb("watch", "apply, and keep it so while links come and go", a.policyWatch,
				grammar.Example{Line: "policy watch /etc/mptcpctl/policy.toml", Meaning: "until interrupted; the endpoints stay"}),
			{
				Name: "export", Summary: "print the present endpoints and limits as a policy file", Synopsis: []string{""},
				Examples: []grammar.Example{{Line: "policy export > policy.toml", Meaning: "a file to begin with"}},
				Run:      a.policyExport,
			},
		},
	}
}

func (a *app) policyVerb(name, summary string, run func(context.Context, *policyRun) error, example grammar.Example) grammar.Command {
	return grammar.Command{
		Name: name, Summary: summary, Synopsis: []string{"FILE [ --exclusive ] [ --state DIR ]"},
		Help: map[string]string{
			"watch": policyWatchHelp,
		}[name],
		Operand: grammar.File,
		Flags: []grammar.Flag{
			{Name: "exclusive", Summary: "take over, change and remove also what others made"},
			{Name: "state", Value: grammar.File, Metavar: "DIR", Summary: "where it is kept which endpoints are the policy's (" + policyDirectory + ")"},
		},
		Examples: []grammar.Example{example},
		Run: func(ctx context.Context, inv *grammar.Invocation) error {
			r, err := a.newPolicyRun(inv)
			if err != nil {
				return err
			}
			defer r.close()
			err = run(ctx, r)
			if err == nil || errors.Is(err, context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: %w", inv.Path, err)
		},
	}
}

// policyRun is one use of a policy.
type policyRun struct {
	app       *app
	inv       *grammar.Invocation
	file      string
	policy    *policy.Policy
	exclusive bool
	pm        pathManager
	host      *policyHost
	record    *policyRecord
}

func (a *app) newPolicyRun(inv *grammar.Invocation) (r *policyRun, err error) {
	if len(inv.Args) != 1 {
		return nil, inv.Usage("want one FILE")
	}
	r = &policyRun{app: a, inv: inv, file: inv.Args[0], exclusive: inv.Has("exclusive")}
	fail := func(err error) (*policyRun, error) {
		r.close()
		return nil, fmt.Errorf("%s: %w", inv.Path, err)
	}
	if r.policy, err = readPolicy(r.file); err != nil {
		return fail(err)
	}
	if r.pm, err = a.pathManager(); err != nil {
		return fail(err)
	}
	if r.host, err = newPolicyHost(); err != nil {
		return fail(err)
	}
	directory, ok := inv.Value("state")
	if !ok {
		directory = policyDirectory
	}
	if r.record, err = newPolicyRecord(directory); err != nil {
		return fail(err)
	}
	return r, nil
}

func (r *policyRun) close() {
	if r.host != nil {
		r.host.close()
	}
	if r.record != nil {
		r.record.close()
	}
}

func readPolicy(file string) (*policy.Policy, error) {
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

// policyView is what a plan is made of, and the plan.
type policyView struct {
	host    *policy.Host
	state   *policy.State
	plan    *policy.Plan
	missing []policy.Missing
}

// look gathers what there is and makes the plan.
func (r *policyRun) look(ctx context.Context) (*policyView, error) {
	host, err := r.host.read(ctx)
	if err != nil {
		return nil, err
	}
	present, err := r.present(ctx)
	if err != nil {
		return nil, err
	}
	state, err := r.record.load()
	if err != nil {
		return nil, err
	}
	v := &policyView{host: host, state: state}
	desired, missing := r.policy.Desired(host)
	v.missing = missing
	v.plan = r.policy.Plan(desired, present, state, r.exclusive)
	return v, nil
}

func (r *policyRun) present(ctx context.Context) (p policy.Present, err error) {
	if p.Limits, err = r.pm.Limits(ctx); err != nil {
		return p, err
	}
	p.Endpoints, err = allEndpoints(ctx, r.pm)
	return p, err
}

func (a *app) policyPlan(ctx context.Context, r *policyRun) error {
	v, err := r.look(ctx)
	if err != nil {
		return err
	}
	return r.writePlan(v)
}

func (a *app) policyApply(ctx context.Context, r *policyRun) error {
	if err := r.record.lock(); err != nil {
		return err
	}
	v, err := r.look(ctx)
	if err != nil {
		return err
	}
	if err := r.writePlan(v); err != nil {
		return err
	}
	return r.carryOut(ctx, v)
}

func (a *app) policyExport(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) > 0 {
		return inv.Usage("takes no arguments")
	}
	if err := noJSON(inv, "-j endpoint show and -j limits show have"); err != nil {
		return err
	}
	pm, err := a.pathManager()
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	r := &policyRun{app: a, inv: inv, pm: pm}
	present, err := r.present(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", inv.Path, err)
	}
	_, err = inv.Stdout.Write(policy.Export(present, device.Name))
	return err
}
