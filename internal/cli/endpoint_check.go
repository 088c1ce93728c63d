package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/compat/iproute"
	"mptcpctl/internal/exit"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/proposal"
	"mptcpctl/internal/shell"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/mptcp"
)

func (a *app) endpointCheckCommand() grammar.Command {
	return grammar.Command{
		Name:    "check",
		Summary: "say what would happen if you added an endpoint",
		Synopsis: []string{
			"ADDRESS [ dev DEV ] [ port PORT ] [ to PEER ] [ mark MARK ] [ uid UID ] " +
				"[ signal | subflow | backup | fullmesh | laminar ]...",
		},
		Help:      endpointCheckHelp,
		Privilege: "none",
		Operand:   grammar.Address,
		Keywords: []grammar.Keyword{
			{Name: "dev", Value: grammar.Device, Summary: "the device to which its subflows are bound"},
			{Name: "to", Value: grammar.Host, Summary: "the peer's address"},
			line.MarkKeyword(), line.UIDKeyword(),
			portKeyword("the port on which the kernel would listen"),
			{Name: "signal", Summary: "announce the address to the peer"},
			{Name: "subflow", Summary: "create subflows from the address"},
			{Name: "backup", Summary: "make its subflows backups"},
			{Name: "fullmesh", Summary: "with subflow: to each address of the peer"},
			{Name: "laminar", Summary: "to an address that the peer announces"},
		},
		Examples: []grammar.Example{
			{
				Line:    "endpoint check 192.0.2.3 dev wlp1s0 to 198.51.100.1",
				Meaning: "would a second subflow come up from there?",
			},
		},
		Run: a.endpointCheck,
	}
}

// mostPeers bounds to how many peers of living connections an endpoint is checked.
const mostPeers = 8

func (a *app) endpointCheck(ctx context.Context, inv *grammar.Invocation) error {
	if inv.Options.Replay != "" || inv.Options.AllNetns {
		return inv.Usage("this command asks the kernel of one network namespace: it excludes -a and --replay")
	}
	key, e, err := checkArguments(ctx, inv)
	if err != nil {
		return err
	}
	host, err := live.Dial(&live.Config{Enter: inv.Options.Netns})
	if err != nil {
		return named(inv, err)
	}
	defer host.Close()
	facts, err := host.Facts(ctx, &gather.Config{Alone: true})
	if err != nil {
		return named(inv, err)
	}
	check := &present.EndpointCheck{Endpoint: e, Device: boundTo(host, e)}
	existing, lines, fine := doctor.Existing(facts, e)
	if existing != 0 {
		check.Endpoint.ID = existing
		facts.Endpoints = slices.DeleteFunc(
			slices.Clone(facts.Endpoints), func(o mptcp.Endpoint) bool { return o.ID == existing },
		)
	}
	var starts []doctor.Start
	if e.Flags.CreatesSubflows() {
		if starts, err = checkStarts(ctx, host, &facts, key, e); err != nil {
			return named(inv, err)
		}
		for _, s := range starts {
			check.Peers = append(check.Peers, s.Remote)
		}
	}
	open := facts.Network.Unanswered(hostnet.LookupRequest{Dst: e.Address, Mark: key.Mark, HasUID: true})
	supposed := doctor.Suppose(facts, e, starts)
	if key.Mark != 0 {
		supposed.Marks = map[mptcp.Token]uint32{}
		for i := range supposed.Connections {
			supposed.Marks[supposed.Connections[i].Token] = key.Mark
		}
	}
	supposed.Lookups = host.Lookups(ctx, &supposed)
	check.Problems = doctor.CheckEndpoint(supposed, e)
	if e.Flags.CreatesSubflows() && len(starts) == 0 {
		check.Problems = append(
			check.Problems,
			doctor.Problem{
				Text: "no peer to check: this host has opened no connection and has no default route",
				Fix:  []string{"name a peer: to PEER"},
			},
		)
	}
	if p, beyond := doctor.BeyondLink(key.Dst, e, check.Device); beyond {
		check.Problems = append(check.Problems, p)
	}
	check.Facts = append(append(lines, checkedFacts(&supposed, e)...), line.FlowNotes(key, open)...)
	check.Works = len(check.Problems) == 0 && fine
	if existing == 0 {
		check.Command = addCommand(e, check.Device)
	} else {
		replaceFirst(check.Problems, existing, e)
	}
	if err := writeCheck(inv, check); err != nil || check.Works {
		return err
	}
	return exit.Status(exit.Failed)
}

func writeCheck(inv *grammar.Invocation, check *present.EndpointCheck) error {
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, check, inv.Options.Pretty)
	}
	text := doctorText(inv)
	return text.EndpointCheck(inv.Stdout, check)
}

// checkArguments takes peer and mark out of the words; the others are those of `add`.
func checkArguments(
	ctx context.Context, inv *grammar.Invocation,
) (key hostnet.LookupRequest, e mptcp.Endpoint, err error) {
	args, err := line.Flow(inv, inv.Args, &key)
	if err != nil {
		return key, e, err
	}
	if i := slices.Index(args, "to"); i >= 0 {
		if i+1 == len(args) {
			return key, e, inv.Usage("to: the peer's address is missing")
		}
		if key.Dst, err = line.Resolve(ctx, inv, args[i+1]); err != nil {
			return key, e, err
		}
		args = slices.Delete(args, i, i+2)
	}
	r, err := iproute.ParseEndpoint(iproute.Add, args)
	if err != nil {
		meant := ""
		if wrong, ok := errors.AsType[*iproute.ArgumentError](err); ok {
			meant = proposal.DidYouMean(wrong.Word, append(wrong.Names, "to"))
		}
		return key, e, inv.Usage(err.Error() + meant)
	}
	e = r.Endpoint()
	if e.Flags == 0 || e.Flags == mptcp.FlagBackup {
		e.Flags |= mptcp.FlagSubflow
	}
	return key, e, nil
}

func boundTo(host *live.Host, e mptcp.Endpoint) string {
	if e.IfIndex == 0 {
		return ""
	}
	return host.DeviceName(e.IfIndex)
}

// checkStarts returns where the initial subflows go from and to.
func checkStarts(
	ctx context.Context, host *live.Host, facts *doctor.Facts, key hostnet.LookupRequest, e mptcp.Endpoint,
) ([]doctor.Start, error) {
	peer := key.Dst
	if !peer.IsValid() {
		starts := startsOf(facts.Connections)
		if len(starts) > 0 {
			return starts, nil
		}
	}
	report, err := host.Paths(ctx, key)
	if err != nil {
		return nil, err
	}
	var starts []doctor.Start
	for _, d := range report.Destinations {
		if d.Problem == "" && (peer.IsValid() || d.Family == mptcp.FamilyOf(e.Address.Unmap())) {
			starts = append(starts, doctor.Start{Local: d.Source, Remote: d.Address})
		}
	}
	if len(starts) == 0 && peer.IsValid() {
		why := append(problemsOf(report.Destinations), line.FlowNotes(key, report.Open)...)
		return nil, fmt.Errorf("no route to %v: %s", peer, strings.Join(why, "; "))
	}
	return starts, nil
}

func problemsOf(destinations []hostnet.Destination) []string {
	var problems []string
	for _, d := range destinations {
		if d.Problem != "" {
			problems = append(problems, d.Problem)
		}
	}
	return problems
}

// startsOf returns the different peers of the connections that were opened here.
func startsOf(connections []mptcp.Connection) []doctor.Start {
	var starts []doctor.Start
	seen := map[netip.Addr]bool{}
	for i := range connections {
		c := &connections[i]
		remote := c.Remote.Addr()
		if c.Side != mptcp.SideClient || remote.IsLoopback() || seen[remote] || len(starts) == mostPeers {
			continue
		}
		seen[remote] = true
		starts = append(starts, doctor.Start{Local: c.Local.Addr(), Remote: remote})
	}
	return starts
}

// replaceFirst makes fixes that add the endpoint anew ones that delete it before.
func replaceFirst(problems []doctor.Problem, id mptcp.AddressID, e mptcp.Endpoint) {
	add := "mptcpctl endpoint add " + e.Address.String()
	for i := range problems {
		for j, fix := range problems[i].Fix {
			problems[i].Fix[j] = strings.Replace(
				fix, add, fmt.Sprintf("mptcpctl endpoint delete id %d && %s", id, add), 1,
			)
		}
	}
}

// checkedFacts are what the answer builds on.
func checkedFacts(f *doctor.Facts, e mptcp.Endpoint) []string {
	var facts []string
	for _, a := range f.Network.Addresses {
		if a.Addr.Unmap() != e.Address.Unmap() {
			continue
		}
		if l, ok := f.Network.LinkByIndex(a.IfIndex); ok {
			facts = append(facts, fmt.Sprintf("address %s is on %s, link %s", a.Addr, l.Name, l.State()))
		}
	}
	for _, l := range f.Lookups {
		if l.Request.Src != e.Address.Unmap() || int32(l.Request.OIF) != e.IfIndex {
			continue
		}
		text := "route " + l.Request.String() + ": "
		if l.Error != "" {
			facts = append(facts, text+l.Error)
			continue
		}
		if l.Route.Gateway.IsValid() {
			text += "via " + l.Route.Gateway.String() + " "
		}
		if link, ok := f.Network.LinkByIndex(l.Route.IfIndex); ok {
			text += "dev " + link.Name
		}
		facts = append(facts, text)
	}
	if f.Limits != nil {
		facts = append(
			facts,
			fmt.Sprintf(
				"limits: subflows %d, add_addr_accepted %d; %s without this one", f.Limits.Subflows,
				f.Limits.AddAddrAccepted, present.Count(len(f.Endpoints)-1, "endpoint"),
			),
		)
	}
	return facts
}

// addCommand is the command that adds the endpoint.
func addCommand(e mptcp.Endpoint, device string) string {
	words := []string{"mptcpctl", "endpoint", "add", e.Address.String()}
	if device != "" {
		words = append(words, "dev", shell.Word(device))
	}
	if e.Port != 0 {
		words = append(words, "port", fmt.Sprint(e.Port))
	}
	return strings.Join(append(words, e.Flags.Names()...), " ")
}
