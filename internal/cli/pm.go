package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/proposal"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

func (a *app) pmCommand() grammar.Command {
	return grammar.Command{
		Name:      "pm",
		Summary:   "send the userspace path manager's commands for one connection",
		Help:      pmHelp,
		Privilege: "addresses: none; the others: CAP_NET_ADMIN in the network namespace",
		Verbs: []grammar.Command{
			a.pmAnnounceCommand(), a.pmRemoveCommand(), a.pmCreateCommand(),
			a.pmDestroyCommand(), a.pmFlagsCommand(), a.pmAddressesCommand(),
		},
	}
}

// The keywords that the verbs share.
func tokenKeyword() grammar.Keyword {
	return grammar.Keyword{
		Name:  "token",
		Value: grammar.Token,
		Summary: "the connection's token on this host, in hexadecimal, or a filter that matches one, such as 'dst " +
			":443'",
	}
}

func fromKeyword(summary string) grammar.Keyword {
	return grammar.Keyword{Name: "from", Value: grammar.Address, Summary: summary}
}

func toKeyword(summary string) grammar.Keyword {
	return grammar.Keyword{Name: "to", Value: grammar.Host, Summary: summary}
}

func (a *app) pmAnnounceCommand() grammar.Command {
	return grammar.Command{
		Name:     "announce",
		Summary:  "announce an address of this host to the peer (ADD_ADDR)",
		Synopsis: []string{"ADDRESS token TOKEN id ID [ port PORT ] [ dev DEV ]"},
		Help: "The peer may then create a subflow to it, if a program listens there. Announcing it again sends " +
			"the announcement again.",
		Operand: grammar.Address,
		Keywords: []grammar.Keyword{
			tokenKeyword(),
			{Name: "id", Value: grammar.ID, Summary: "the address's id in this connection, 1 to 255"},
			portKeyword("the port to connect to (default: the connection's port)"),
			{Name: "dev", Value: grammar.Device, Summary: "the device to which subflows to it are bound"},
		},
		Examples: []grammar.Example{
			{
				Line:    "pm announce 198.51.100.1 token 38a251e2 id 2",
				Meaning: "announce a second address to the peer of one connection",
			},
		},
		Run: a.pmRun([]string{"id"}, (*app).pmAnnounce),
	}
}

func (a *app) pmRemoveCommand() grammar.Command {
	return grammar.Command{
		Name:     "remove",
		Summary:  "remove an address (RM_ADDR); the peer closes the subflows to it",
		Synopsis: []string{"id ID token TOKEN"},
		Keywords: []grammar.Keyword{
			tokenKeyword(),
			{Name: "id", Value: grammar.ID, Summary: "the address's id; 0 is the id of the initial subflow"},
		},
		Examples: []grammar.Example{
			{Line: "pm remove id 2 token 38a251e2", Meaning: "remove the address that was announced as id 2"},
		},
		Run: a.pmRun([]string{"id"}, (*app).pmRemove),
	}
}

func (a *app) pmCreateCommand() grammar.Command {
	return grammar.Command{
		Name:     "subflow-create",
		Summary:  "start a subflow",
		Synopsis: []string{"from ADDRESS id ID to ADDRESS:PORT token TOKEN [ remid ID ] [ dev DEV ] [ backup ]"},
		Help: "The command returns when the handshake has begun: `monitor` shows SF_ESTABLISHED when the " +
			"subflow is up, or SF_CLOSED with the error.",
		Keywords: []grammar.Keyword{
			tokenKeyword(), fromKeyword("the address of this host"),
			{Name: "id", Value: grammar.ID, Summary: "the id of that address in this connection"},
			toKeyword("the peer's address and port"),
			{Name: "remid", Value: grammar.ID, Summary: "the id that the peer gave to its address"},
			{Name: "dev", Value: grammar.Device, Summary: "the device to which the subflow is bound"},
			{Name: "backup", Summary: "ask the peer to use it only if no other subflow works"},
		},
		Examples: []grammar.Example{
			{
				Line:    "pm subflow-create from 192.0.2.3 id 2 to 192.0.2.1:443 token 38a251e2",
				Meaning: "join over the second address",
			},
		},
		Run: a.pmRun([]string{"from", "id", "to"}, (*app).pmCreate),
	}
}

func (a *app) pmDestroyCommand() grammar.Command {
	return grammar.Command{
		Name:     "subflow-destroy",
		Summary:  "close a subflow",
		Synopsis: []string{"from ADDRESS:PORT to ADDRESS:PORT token TOKEN"},
		Help:     "The kernel also forgets the id of the local address: `pm remove` of that id fails afterwards.",
		Keywords: []grammar.Keyword{
			tokenKeyword(), fromKeyword("the subflow's address and port on this host"),
			toKeyword("the peer's address and port"),
		},
		Examples: []grammar.Example{
			{
				Line:    "pm subflow-destroy from 192.0.2.3:40112 to 192.0.2.1:443 token 38a251e2",
				Meaning: "close one subflow",
			},
		},
		Run: a.pmRun([]string{"from", "to"}, (*app).pmDestroy),
	}
}

func (a *app) pmFlagsCommand() grammar.Command {
	return grammar.Command{
		Name:     "set-flags",
		Summary:  "make a subflow a backup, or a regular one again",
		Synopsis: []string{"from ADDRESS[:PORT] to ADDRESS[:PORT] token TOKEN { backup | nobackup }"},
		Help:     "The kernel informs the peer (MP_PRIO). Without a port, any port matches.",
		Keywords: []grammar.Keyword{
			tokenKeyword(), fromKeyword("the subflow's address on this host"), toKeyword("the peer's address"),
			{
				Name:    "backup",
				Summary: "use it only if no other subflow works",
			}, {Name: "nobackup", Summary: "use it like the others"},
		},
		Examples: []grammar.Example{
			{
				Line:    "pm set-flags from 192.0.2.3 to 192.0.2.1 token 38a251e2 backup",
				Meaning: "make the subflow between two addresses a backup",
			},
		},
		Run: a.pmRun([]string{"from", "to"}, (*app).pmSetFlags),
	}
}

func (a *app) pmAddressesCommand() grammar.Command {
	return grammar.Command{
		Name:      "addresses",
		Summary:   "list the local addresses that the path manager gave to a connection",
		Synopsis:  []string{"token TOKEN [ id ID ]"},
		Help:      "Prints lines like `endpoint show`. Since Linux 6.10.",
		Privilege: "none",
		Keywords: []grammar.Keyword{
			tokenKeyword(), {Name: "id", Value: grammar.ID, Summary: "only the address with this id"},
		},
		Examples: []grammar.Example{{Line: "pm addresses token 38a251e2", Meaning: "the addresses of one connection"}},
		Run:      a.pmRun(nil, (*app).pmAddresses),
	}
}

// pmRequest is what the words of a pm command say.
type pmRequest struct {
	token    mptcp.Token
	local    mptcp.Endpoint // its address and port from the operand, from and port
	remote   netip.AddrPort
	remoteID mptcp.AddressID
	given    map[string]bool // the keywords that were there
}

// pmRun reads the words, sees that the needed ones are there, and opens the path
// manager for the verb.
func (a *app) pmRun(
	needed []string, verb func(*app, context.Context, pathManager, *grammar.Invocation, *pmRequest) error,
) grammar.Run {
	return func(ctx context.Context, inv *grammar.Invocation) error {
		r, err := a.parsePM(ctx, inv)
		if err != nil {
			return err
		}
		for _, name := range needed {
			if !r.given[name] {
				return inv.Usage(name + " is missing")
			}
		}
		pm, err := a.pathManager()
		if err != nil {
			return fmt.Errorf("%s: %w", inv.Path, err)
		}
		return explainPM(verb(a, ctx, pm, inv, r))
	}
}

// explainPM adds what to do to a refusal that does not tell.
func explainPM(err error) error {
	refusal, ok := errors.AsType[*pathmanager.Error](err)
	switch {
	case !ok:
		return err
	case strings.Contains(refusal.Message, "userspace PM not selected"):
		return fmt.Errorf("%w (the connection was created under the in-kernel path manager, which keeps managing it: "+
			"set net.mptcp.path_manager=userspace before you open connections)", err)
	case strings.Contains(refusal.Message, "invalid token"):
		return fmt.Errorf(
			"%w (no connection in this network namespace has this token: see `connection`; use this host's token, "+
				"not the peer's)",
			err,
		)
	}
	return err
}

func (a *app) parsePM(ctx context.Context, inv *grammar.Invocation) (*pmRequest, error) {
	r := &pmRequest{given: map[string]bool{}}
	names := make([]string, len(inv.Command.Keywords))
	for i := range inv.Command.Keywords {
		names[i] = inv.Command.Keywords[i].Name
	}
	for rest := inv.Args; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		i := grammar.Match(word, names)
		if i < 0 {
			if err := r.operand(inv, word, names); err != nil {
				return nil, err
			}
			continue
		}
		value := ""
		if inv.Command.Keywords[i].Value != grammar.None {
			if len(rest) == 0 {
				return nil, inv.Usage(names[i] + " needs a value")
			}
			value, rest = rest[0], rest[1:]
		}
		if r.given[names[i]] {
			return nil, inv.Usage(names[i] + " is given twice")
		}
		r.given[names[i]] = true
		if err := a.pmKeyword(ctx, inv, r, names[i], value); err != nil {
			return nil, err
		}
	}
	if r.token == 0 {
		return nil, inv.Usage("token is missing: it names the connection")
	}
	return r, nil
}

// operand takes the address of announce. A word that is no address may have been
// meant for one of the keywords.
func (r *pmRequest) operand(inv *grammar.Invocation, word string, keywords []string) error {
	if inv.Command.Operand != grammar.Address || r.local.Address.IsValid() {
		return inv.Usage(fmt.Sprintf("unknown word %q%s", word, proposal.DidYouMean(word, keywords)))
	}
	address, err := netip.ParseAddr(word)
	if err != nil || address.Zone() != "" {
		what := proposal.DidYouMean(word, keywords)
		if what == "" {
			what = ": neither an address nor a keyword"
		}
		return inv.Usage(fmt.Sprintf("unknown word %q%s", word, what))
	}
	r.local.Address = address
	return nil
}

func (a *app) pmKeyword(ctx context.Context, inv *grammar.Invocation, r *pmRequest, name, value string) (err error) {
	switch name {
	case "token":
		r.token, err = a.connectionToken(ctx, inv, value)
	case "id", "remid":
		n, ok := iproute.ParseUint(value, math.MaxUint8)
		if !ok {
			return inv.Usage(fmt.Sprintf("%s %q: want a number from 0 to 255", name, value))
		}
		if name == "id" {
			r.local.ID = mptcp.AddressID(n)
		} else {
			r.remoteID = mptcp.AddressID(n)
		}
	case "port":
		n, ok := iproute.ParseUint(value, math.MaxUint16)
		if !ok || n == 0 {
			return inv.Usage(fmt.Sprintf("port %q: want a number from 1 to 65535", value))
		}
		r.local.Port = uint16(n)
	case "dev":
		index, ok := device.Index(value)
		if !ok {
			return fmt.Errorf("%s: device %q does not exist", inv.Path, value)
		}
		r.local.IfIndex = index
	case "from":
		var from netip.AddrPort
		from, err = pmAddress(inv, name, value)
		r.local.Address, r.local.Port = from.Addr(), from.Port()
	case "to":
		r.remote, err = pmAddress(inv, name, value)
	case "backup":
		r.local.Flags |= mptcp.FlagBackup
	}
	return err
}

// pmAddress reads ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; without one the port is
// 0.
func pmAddress(inv *grammar.Invocation, name, value string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil && a.Zone() == "" {
		return netip.AddrPortFrom(a, 0), nil
	}
	a, err := netip.ParseAddrPort(value)
	if err != nil || a.Addr().Zone() != "" {
		return netip.AddrPort{}, inv.Usage(
			fmt.Sprintf("%s %q: want ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT", name, value),
		)
	}
	return a, nil
}

func (a *app) pmAnnounce(ctx context.Context, pm pathManager, inv *grammar.Invocation, r *pmRequest) error {
	switch {
	case !r.local.Address.IsValid():
		return inv.Usage("an address is missing")
	case r.local.ID == 0:
		return inv.Usage("id 0 is the address of the initial subflow, which the peer already knows: want 1 to 255")
	}
	r.local.Flags = mptcp.FlagSignal
	return pm.Announce(ctx, r.token, r.local)
}

func (a *app) pmRemove(ctx context.Context, pm pathManager, _ *grammar.Invocation, r *pmRequest) error {
	if r.local.ID == 0 {
		a.warn("id 0 is the address of the initial subflow: the peer will close that subflow")
	}
	return pm.RemoveAddress(ctx, r.token, r.local.ID)
}

func (a *app) pmCreate(ctx context.Context, pm pathManager, inv *grammar.Invocation, r *pmRequest) error {
	switch {
	case r.remote.Port() == 0:
		return inv.Usage("`to` needs a port: without one the kernel reports success, and connects to port 0")
	case r.local.Port != 0:
		return inv.Usage("`from` takes no port: the kernel chooses it")
	}
	if err := sameFamily(inv, r); err != nil {
		return err
	}
	return pm.CreateSubflow(ctx, r.token, r.local, pathmanager.RemoteAddress{ID: r.remoteID, Addr: r.remote})
}

func (a *app) pmDestroy(ctx context.Context, pm pathManager, inv *grammar.Invocation, r *pmRequest) error {
	if r.local.Port == 0 || r.remote.Port() == 0 {
		return inv.Usage("a subflow is named by both addresses with their ports")
	}
	if err := sameFamily(inv, r); err != nil {
		return err
	}
	return pm.DestroySubflow(ctx, r.token, netip.AddrPortFrom(r.local.Address, r.local.Port), r.remote)
}

func (a *app) pmSetFlags(ctx context.Context, pm pathManager, inv *grammar.Invocation, r *pmRequest) error {
	if r.given["backup"] == r.given["nobackup"] {
		return inv.Usage("want one of backup and nobackup")
	}
	if err := sameFamily(inv, r); err != nil {
		return err
	}
	return pm.SetSubflowFlags(ctx, r.token, r.local, r.remote)
}

// sameFamily refuses two addresses that no subflow can have.
func sameFamily(inv *grammar.Invocation, r *pmRequest) error {
	if r.local.Address.Unmap().Is4() != r.remote.Addr().Unmap().Is4() {
		return inv.Usage(
			fmt.Sprintf(
				"families mismatch: %v and %v cannot be the ends of one subflow", r.local.Address, r.remote.Addr(),
			),
		)
	}
	return nil
}

func (a *app) pmAddresses(ctx context.Context, pm pathManager, inv *grammar.Invocation, r *pmRequest) error {
	if r.given["id"] {
		e, err := pm.Address(ctx, r.token, r.local.ID)
		if err != nil {
			return err
		}
		return a.writeEndpoints(inv, []present.EndpointList{{Endpoints: []mptcp.Endpoint{e}, Device: device.Name}})
	}
	var all []mptcp.Endpoint
	for e, err := range pm.Addresses(ctx, r.token) {
		if err != nil {
			return err
		}
		all = append(all, e)
	}
	return a.writeEndpoints(inv, []present.EndpointList{{Endpoints: a.ofFamily(inv, all), Device: device.Name}})
}
