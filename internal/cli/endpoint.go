package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

func (a *app) endpointCommand() grammar.Command {
	return grammar.Command{
		Name:      "endpoint",
		Summary:   "addresses that the path manager may use for additional subflows",
		Help:      endpointHelp,
		Privilege: "show: none; the others: CAP_NET_ADMIN in the network namespace",
		IPRoute:   true,
		Default:   "show",
		Verbs: []grammar.Command{
			a.endpointAddCommand(), a.endpointChangeCommand(), a.endpointCheckCommand(),
			a.endpointDeleteCommand(), a.endpointShowCommand(),
			{
				Name: "flush", Summary: "delete all endpoints", Synopsis: []string{""},
				Examples: []grammar.Example{
					{Line: "endpoint flush", Meaning: "delete all endpoints of this network namespace"},
				},
				Run: a.endpointRun((*app).flushEndpoints),
			},
		},
	}
}

// The keywords of the endpoint's grammar.
func idKeyword() grammar.Keyword {
	return grammar.Keyword{Name: "id", Value: grammar.ID, Summary: "the endpoint's id, 1 to 255"}
}

func portKeyword(summary string) grammar.Keyword {
	return grammar.Keyword{Name: "port", Value: grammar.Port, Summary: summary}
}

func (a *app) endpointAddCommand() grammar.Command {
	return grammar.Command{
		Name:    "add",
		Summary: "add an endpoint",
		Synopsis: []string{
			"ADDRESS [ dev DEV ] [ id ID ] [ port PORT ] [ signal | subflow | backup | fullmesh | laminar ]...",
		},
		Help: "Adds an address of this host. Without id the kernel chooses one. An endpoint without any of signal, " +
			"subflow and laminar does nothing. " +
			"signal and fullmesh exclude each other; port needs signal.",
		Operand: grammar.Address,
		Keywords: []grammar.Keyword{
			{Name: "dev", Value: grammar.Device, Summary: "the device to which its subflows are bound"},
			idKeyword(),
			portKeyword("the port on which the kernel listens for joins to this address"),
			{Name: "signal", Summary: "announce the address to the peer"},
			{Name: "subflow", Summary: "create a subflow from this address in each connection that this host opens"},
			{Name: "backup", Summary: "ask the peer to use its subflows only if no other works"},
			{Name: "fullmesh", Summary: "with subflow: create one to each address of the peer"},
			{
				Name:    "laminar",
				Summary: "create a subflow from this address to an address that the peer announces (Linux 6.18)",
			},
		},
		Examples: []grammar.Example{
			{
				Line:    "endpoint add 192.0.2.3 dev wlp1s0 subflow",
				Meaning: "use the second address of a client for one more subflow",
			},
			{Line: "endpoint add 198.51.100.1 signal", Meaning: "announce the second address of a server"},
		},
		Run: a.endpointRun((*app).addEndpoint),
	}
}

func (a *app) endpointChangeCommand() grammar.Command {
	return grammar.Command{
		Name:     "change",
		Summary:  "change the flags backup and fullmesh of an endpoint and its subflows",
		Synopsis: []string{"{ id ID | ADDRESS [ port PORT ] } [ backup | nobackup ] [ fullmesh | nofullmesh ]"},
		Help: "The kernel sets both flags at once, and clears a flag that is not named. " +
			"To keep fullmesh while setting backup, name both.",
		Operand: grammar.Address,
		Keywords: []grammar.Keyword{
			idKeyword(), portKeyword("the port, if the endpoint is named by its address"),
			{Name: "backup", Summary: "use its subflows only if no other works"},
			{Name: "nobackup", Summary: "use its subflows like all others"},
			{Name: "fullmesh", Summary: "create subflows to each address of the peer"},
			{Name: "nofullmesh", Summary: "create one subflow"},
		},
		Examples: []grammar.Example{
			{
				Line:    "endpoint change id 2 backup",
				Meaning: "make the subflows of endpoint 2 backups, also in existing connections",
			},
		},
		Run: a.endpointRun((*app).changeEndpoint),
	}
}

func (a *app) endpointDeleteCommand() grammar.Command {
	return grammar.Command{
		Name:     "delete",
		Summary:  "delete an endpoint and close its subflows",
		Synopsis: []string{"id ID", "id 0 ADDRESS"},
		Help: "With id 0 and an address the kernel deletes no endpoint, but closes the initial subflow of every " +
			"connection that has " +
			"this local address. It reports success even if there was none.",
		Keywords: []grammar.Keyword{idKeyword()},
		Examples: []grammar.Example{
			{Line: "endpoint delete id 2", Meaning: "delete endpoint 2 and close its subflows"},
		},
		Run: a.endpointRun((*app).deleteEndpoint),
	}
}

func (a *app) endpointShowCommand() grammar.Command {
	return grammar.Command{
		Name:      "show",
		Summary:   "list the endpoints, or show one",
		Synopsis:  []string{"[ id ID | ADDRESS ]"},
		Privilege: "none",
		Operand:   grammar.Address,
		Keywords:  []grammar.Keyword{idKeyword()},
		Examples: []grammar.Example{
			{Line: "endpoint show", Meaning: "all endpoints"},
			{Line: "-j endpoint show id 2", Meaning: "one endpoint, as JSON"},
		},
		Run: a.showRun((*app).showEndpoints),
	}
}

// endpointRun opens the path manager for a verb, and names its errors.
func (a *app) endpointRun(verb func(*app, context.Context, pathManager, *grammar.Invocation) error) grammar.Run {
	return func(ctx context.Context, inv *grammar.Invocation) error {
		pm, err := a.pathManager()
		if err != nil {
			return named(inv, err)
		}
		return named(inv, verb(a, ctx, pm, inv))
	}
}

func (a *app) addEndpoint(ctx context.Context, pm pathManager, inv *grammar.Invocation) error {
	r, err := iproute.ParseEndpoint(iproute.Add, inv.Args)
	if err != nil {
		return err
	}
	if err := pm.AddEndpoint(ctx, r.Endpoint()); err != nil {
		return err
	}
	a.warnMaskedFlags(ctx, pm, r)
	return nil
}

func (a *app) changeEndpoint(ctx context.Context, pm pathManager, inv *grammar.Invocation) error {
	r, err := iproute.ParseEndpoint(iproute.Change, inv.Args)
	if err != nil {
		return err
	}
	sel := pathmanager.Selector{ID: r.ID, Address: r.Address, Port: r.Port}
	a.warnOfChange(ctx, pm, r, sel)
	return pm.SetEndpointFlags(ctx, sel, r.Flags)
}

func (a *app) deleteEndpoint(ctx context.Context, pm pathManager, inv *grammar.Invocation) error {
	r, err := iproute.ParseEndpoint(iproute.Delete, inv.Args)
	switch {
	case err != nil && !a.asIP && r != nil && !r.HasID:
		return &hinted{a.program + " endpoint delete id N (`endpoint show` lists the ids)", err}
	case err != nil:
		return err
	}
	if r.ID != 0 {
		err := pm.RemoveEndpoint(ctx, r.ID)
		if errors.Is(err, fs.ErrNotExist) && !a.asIP {
			return &hinted{a.program + " endpoint show (it lists the ids)", err}
		}
		return err
	}
	if !a.asIP {
		a.warn(
			"id 0 is not an endpoint: this closes the initial subflow of every connection from %v, if there is one",
			r.Address,
		)
	}
	return pm.CloseInitialSubflows(ctx, r.Address)
}

func (a *app) flushEndpoints(ctx context.Context, pm pathManager, _ *grammar.Invocation) error {
	return pm.FlushEndpoints(ctx)
}

func (a *app) showEndpoints(ctx context.Context, places []place, inv *grammar.Invocation) error {
	find := func(p place) ([]mptcp.Endpoint, error) {
		all, err := allEndpoints(ctx, p)
		return a.ofFamily(inv, all), err
	}
	if len(inv.Args) > 0 {
		r, err := iproute.ParseEndpoint(iproute.Show, inv.Args)
		if err != nil {
			return err
		}
		find = func(p place) ([]mptcp.Endpoint, error) { return a.findEndpoint(ctx, p, r) }
	}
	lists := make([]present.EndpointList, 0, len(places))
	var absent error
	for _, p := range places {
		found, err := find(p)
		switch {
		case err != nil && errors.Is(err, fs.ErrNotExist) && len(places) > 1:
			absent = err
		case err != nil:
			return err
		default:
			lists = append(lists, present.EndpointList{Netns: p.netns, Endpoints: found, Device: p.device})
		}
	}
	if len(lists) == 0 {
		return absent
	}
	return a.writeEndpoints(inv, lists)
}

// findEndpoint finds the endpoints that the arguments name.
func (a *app) findEndpoint(ctx context.Context, p place, r *iproute.Endpoint) ([]mptcp.Endpoint, error) {
	if !r.Address.IsValid() || a.asIP {
		e, err := p.Endpoint(ctx, r.ID)
		return []mptcp.Endpoint{e}, err
	}
	// iproute2's grammar takes an address, and the kernel never finds it.
	all, err := allEndpoints(ctx, p)
	if err != nil {
		return nil, err
	}
	var found []mptcp.Endpoint
	for _, e := range all {
		if e.Address == r.Address && (r.Port == 0 || e.Port == r.Port) && (r.ID == 0 || e.ID == r.ID) {
			found = append(found, e)
		}
	}
	if found == nil {
		return nil, exit.With(exit.IPRefused, fmt.Errorf("%v: address not found%w", r.Address, quiet{fs.ErrNotExist}))
	}
	return found, nil
}

// ofFamily keeps the endpoints that -4 or -6 asks for.
func (a *app) ofFamily(inv *grammar.Invocation, all []mptcp.Endpoint) []mptcp.Endpoint {
	if a.asIP {
		return all
	}
	kept := all[:0]
	for _, e := range all {
		if inv.Options.Wants(e.Address) {
			kept = append(kept, e)
		}
	}
	return kept
}

func (a *app) writeEndpoints(inv *grammar.Invocation, lists []present.EndpointList) error {
	var b []byte
	if inv.Options.JSON {
		f := present.EndpointJSON{Pretty: inv.Options.Pretty}
		b = f.AppendLists(b, lists)
	} else {
		for _, l := range lists {
			f := present.EndpointText{Colors: a.palette(inv), Device: l.Device, End: a.lineEnd(inv), Netns: l.Netns}
			for i := range l.Endpoints {
				b = f.Append(b, &l.Endpoints[i])
			}
		}
	}
	_, err := inv.Stdout.Write(b)
	return err
}

// palette returns the colours of the output. ip has none unless asked for them.
func (a *app) palette(inv *grammar.Invocation) present.Palette {
	if a.asIP && inv.Options.Color == grammar.ColorDefault {
		return present.Colors(false)
	}
	return line.Palette(inv)
}

// lineEnd returns what ends a record: iproute2 7 makes one line of all of them
// for -o, with backslashes between; here each record is a line anyway.
func (a *app) lineEnd(inv *grammar.Invocation) string {
	if a.asIP && inv.Options.OneLine {
		return `\`
	}
	return "\n"
}

// warnMaskedFlags reads a new endpoint back and tells of flags that the kernel
// does not know: it drops them and answers that all is well.
func (a *app) warnMaskedFlags(ctx context.Context, pm pathManager, r *iproute.Endpoint) {
	const always = mptcp.FlagSignal | mptcp.FlagSubflow | mptcp.FlagBackup
	if a.asIP || r.Flags&^always == 0 {
		return // every kernel with a path manager knows these
	}
	all, err := allEndpoints(ctx, pm)
	if err != nil {
		return // the endpoint is there; only the look at it failed
	}
	for _, e := range all {
		if e.Address != r.Address || e.Port != r.Port || r.ID != 0 && e.ID != r.ID {
			continue
		}
		if lost := r.Flags &^ e.Flags; lost != 0 {
			a.warn(
				"this kernel does not support the flag %v and dropped it: the endpoint is %v id %d %v", lost,
				e.Address, e.ID, e.Flags,
			)
		}
	}
}

// warnOfChange tells which of backup and fullmesh a change clears because it does not
// name them, and that an address counts where an id says something else.
func (a *app) warnOfChange(ctx context.Context, pm pathManager, r *iproute.Endpoint, sel pathmanager.Selector) {
	if a.asIP {
		return
	}
	all, err := allEndpoints(ctx, pm)
	if err != nil {
		return // the change itself will tell
	}
	for _, e := range all {
		if !sel.Names(e) {
			continue
		}
		if r.ID != 0 && e.ID != r.ID {
			a.warn(
				"the address %v names endpoint id %d, and id %d does not count: the kernel looks for the address",
				e.Address, e.ID, r.ID,
			)
		}
		lost := e.Flags & (mptcp.FlagBackup | mptcp.FlagFullmesh) &^ r.Flags &^ r.Cleared
		if lost != 0 {
			a.warn("endpoint id %d loses %v, because a change sets backup and fullmesh at once; to keep it: %s",
				e.ID, strings.Join(lost.Names(), " and "), keepingLine(e.ID, r.Flags|lost))
		}
	}
}

func keepingLine(id mptcp.AddressID, flags mptcp.EndpointFlags) string {
	return fmt.Sprintf("endpoint change id %d %v", id, flags)
}
