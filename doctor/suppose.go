package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/shell"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
)

// Start is where an initial subflow goes from and to.
type Start struct{ Local, Remote netip.Addr }

// Suppose returns the facts as they would be with a further endpoint, and with one
// connection made here for each start in place of those that there are. The
// endpoint has no id yet: 0. Facts are not changed; their lookups are to be filled
// in anew.
func Suppose(f Facts, e mptcp.Endpoint, starts []Start) Facts {
	e.ID, f.supposed = 0, true
	f.Connections, f.Lookups, f.Events, f.EventsSince, f.EarlierThan = nil, nil, nil, time.Time{}, nil
	f.MPTCP, f.TCP, f.TCPBase = Counted{Now: f.MPTCP.Now}, Counted{Now: f.TCP.Now}, Counted{}
	for i, s := range starts {
		f.Connections = append(f.Connections, mptcp.Connection{
			Token: mptcp.Token(i + 1), Netns: f.Netns, Family: mptcp.FamilyOf(s.Remote), Side: mptcp.SideClient,
			State: mptcp.StateEstablished, PathManager: "kernel",
			Local: netip.AddrPortFrom(s.Local, 1), Remote: netip.AddrPortFrom(s.Remote, 1),
			BytesSent: 1, BytesReceived: 1,
			Subflows: []mptcp.Subflow{{
				Local: netip.AddrPortFrom(s.Local, 1), Remote: netip.AddrPortFrom(s.Remote, 1), Initial: true,
				TCP: mptcp.StateEstablished, State: mptcp.SubflowEstablished, FullyEstablished: true,
			}},
		})
	}
	f.Endpoints = append(slices.Clone(f.Endpoints), e)
	return f
}

// Problem is why an endpoint would not do what it is added for.
type Problem struct {
	Rule rule.ID  `json:"rule,omitempty"` // "" where the kernel refuses it, or no rule is about it
	Text string   `json:"text"`
	Seen []string `json:"seen,omitempty"` // may hold foreign strings: escape before showing
	Fix  []string `json:"fix,omitempty"`
}

// CheckEndpoint tells what would keep an endpoint from being used. Supposed is what
// Suppose returned for it, with its lookups.
func CheckEndpoint(supposed Facts, e mptcp.Endpoint) []Problem {
	namespace := supposed
	supposed.Enter = "" // the fixes are changed below, those of all problems
	e.ID = 0
	v := newView(&supposed)
	problems := v.refusals(e)
	for _, f := range Diagnose(supposed).Findings {
		about := plain(f.Subject.Endpoint) == plain(e.Address) && f.Subject.EndpointID == 0
		if f.Severity == Info && f.Rule != rule.InitialAddress || !about && !slices.Contains(forAll, f.Rule) {
			continue
		}
		problems = append(
			problems,
			Problem{Rule: f.Rule, Text: f.Title, Seen: supposedEvidence(f.Evidence), Fix: supposedFix(f.Fix, e)},
		)
	}
	if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Rule == rule.InitialAddress }) &&
		v.startsOnly(e) {
		problems = append(problems, Problem{
			Rule: rule.InitialAddress, Text: fmt.Sprintf("endpoint %s is the address that the connection starts "+
				"from: it adds no further subflow", e.Address),
			Fix: []string{"add an endpoint for another address: mptcpctl paths"},
		})
	}
	if remote, other := v.onlyOther(e); other {
		problems = append(problems, Problem{
			Rule: rule.OtherFamily,
			Text: fmt.Sprintf("%s has another address family: no subflow goes there from %s", remote, e.Address),
			Fix:  []string{"mptcpctl paths to " + remote.String() + "   (addresses of its family)"},
		})
	}
	if e.Flags.Has(mptcp.FlagFullmesh) && !e.Flags.CreatesSubflows() && !e.Flags.Has(mptcp.FlagLaminar) {
		problems = append(problems, Problem{
			Text: "fullmesh without subflow: no subflow goes to the peer's own address, only to addresses that the " +
				"peer announces",
			Fix: []string{addWithSubflow(v, e)},
		})
	}
	announces := e.Flags.Has(mptcp.FlagSignal) && e.Port == 0
	if announces && v.Listeners != nil && !v.serves() {
		problems = append(problems, Problem{
			Rule: rule.ClientSignals, Text: "no program listens for MPTCP on this host, so subflows that peers " +
				"create are refused",
			Fix: []string{
				"on a client use `subflow` instead of `signal`",
				"on a server start the application first, on the wildcard address",
			},
		})
	}
	for i := range problems {
		problems[i].Fix = namespace.enter(problems[i].Fix)
	}
	return problems
}

// startsOnly reports whether the endpoint makes no subflow on any of the connections, as the
// ledger foresees it, because all start from its address, which is all that it asks for.
// Diagnose says so of a connection's only endpoint: beside others it does no harm, but is of
// no use either.
func (v *view) startsOnly(e mptcp.Endpoint) bool {
	if e.Flags.JoinsAnnounced() || e.Flags.Has(mptcp.FlagSignal) || len(v.clients) == 0 {
		return false
	}
	for _, c := range v.clients {
		if entry := v.entry(c, e); entry == nil || !entry.Certain() || !entry.May(ledger.FirstAddress) {
			return false
		}
	}
	return true
}

// onlyOther returns the peer of the first connection, and whether all peers are of
// another address family than the endpoint.
func (v *view) onlyOther(e mptcp.Endpoint) (remote netip.Addr, other bool) {
	if !e.Flags.CreatesSubflows() && !e.Flags.JoinsAnnounced() || len(v.clients) == 0 {
		return remote, false
	}
	for _, c := range v.clients {
		if sameFamily(e.Address, c.Remote.Addr()) {
			return remote, false
		}
	}
	return plain(v.clients[0].Remote.Addr()), true
}

// forAll are those that keep every endpoint from being used.
var forAll = []rule.ID{rule.KernelWithoutMPTCP, rule.SwitchedOff, rule.PolicyForbids, rule.NoDaemon}

// refusals are why the kernel would not take the endpoint
// (mptcp_pm_nl_append_new_local_addr).
func (v *view) refusals(e mptcp.Endpoint) []Problem {
	var problems []Problem
	n := 0
	for _, other := range v.Endpoints[:len(v.Endpoints)-1] {
		if other.Flags&mptcp.FlagImplicit != 0 {
			continue
		}
		n++
		if other.Address == e.Address && other.Port == e.Port {
			problems = append(problems, Problem{
				Text: fmt.Sprintf("%s is already endpoint %d: the kernel refuses it (EEXIST)", e.Address, other.ID),
				Seen: []string{fmt.Sprintf("endpoint id %d: %s", other.ID, other.Flags)},
				Fix:  []string{command.DeleteEndpoint(other) + "   (then add it again)"},
			})
		}
	}
	if most := ledger.RulesOf(v.Kernel.Release).MostEndpoints; n >= most {
		problems = append(problems, Problem{
			Rule: rule.TableFull, Text: fmt.Sprintf("the table of endpoints is full: the kernel refuses more than "+
				"%d (ERANGE)", most),
			Fix: v.spareEndpoint(),
		})
	}
	return problems
}

// BeyondLink is the problem of an endpoint on the device that makes subflows to a link-local
// peer, and is not known to be on the peer's link.
func BeyondLink(peer netip.Addr, e mptcp.Endpoint, device string) (p Problem, beyond bool) {
	if !peer.IsLinkLocalUnicast() || peer.Zone() == device || !e.Flags.CreatesSubflows() {
		return p, false
	}
	p = Problem{
		Rule: rule.NoRoute,
		Text: fmt.Sprintf("%s is on the link of %s alone: a subflow from another link does not reach it",
			peer, cmp.Or(peer.Zone(), "one device")),
		Fix: []string{"name the peer's link behind a %, and that device for the endpoint"},
	}
	if device != "" {
		p.Fix = append(p.Fix, command.AddEndpoint(e, "dev", shell.Word(device), "laminar")+
			"   (or this, where the peer announces an address on this link)")
	}
	return p, true
}

// supposedEvidence leaves out what names the connections that do not exist.
func supposedEvidence(lines []string) []string {
	var seen []string
	for _, line := range lines {
		if !strings.Contains(line, "connection 0000") {
			seen = append(seen, strings.Replace(line, "endpoint id 0", "the endpoint", 1))
		}
	}
	return seen
}

// supposedFix is a fix for an endpoint that is still to be made: nothing is to be
// deleted before.
func supposedFix(lines []string, e mptcp.Endpoint) []string {
	var fix []string
	for _, line := range lines {
		line = strings.Replace(line, command.DeleteEndpoint(e)+" && ", "", 1)
		if !strings.Contains(line, command.DeleteEndpoint(e)) {
			fix = append(fix, line)
		}
	}
	if len(fix) > 0 && len(fix) < len(lines) {
		fix[0] = strings.TrimSuffix(strings.TrimPrefix(fix[0], "or "), "   (or this)")
	}
	return fix
}
