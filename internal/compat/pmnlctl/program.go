package pmnlctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/device"
	"mptcpctl/internal/exit"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
)

// Program is the kernel's test helper pm_nl_ctl: its grammar, its output, its exit
// codes, which are 0 for wrong usage.
type Program struct {
	Name           string // as it was called, which its messages start with
	Stdout, Stderr io.Writer
	PathManager    func() (PathManager, error) // opens it; who does so closes it

	pm PathManager
}

// PathManager is what the helper needs of the kernel's path manager.
type PathManager interface {
	Endpoints(ctx context.Context) iter.Seq2[mptcp.Endpoint, error]
	Endpoint(ctx context.Context, id mptcp.AddressID) (mptcp.Endpoint, error)
	Limits(ctx context.Context) (mptcp.Limits, error)
	AddEndpoint(ctx context.Context, e mptcp.Endpoint) error
	RemoveEndpoint(ctx context.Context, id mptcp.AddressID) error
	CloseInitialSubflows(ctx context.Context, local netip.Addr) error
	FlushEndpoints(ctx context.Context) error
	SetEndpointFlags(ctx context.Context, sel pathmanager.Selector, flags mptcp.EndpointFlags) error
	SetLimits(ctx context.Context, u pathmanager.LimitsUpdate) error

	Announce(ctx context.Context, t mptcp.Token, e mptcp.Endpoint) error
	RemoveAddress(ctx context.Context, t mptcp.Token, id mptcp.AddressID) error
	CreateSubflow(ctx context.Context, t mptcp.Token, local mptcp.Endpoint, remote pathmanager.RemoteAddress) error
	DestroySubflow(ctx context.Context, t mptcp.Token, local, remote netip.AddrPort) error
	SetSubflowFlags(ctx context.Context, t mptcp.Token, local mptcp.Endpoint, remote netip.AddrPort) error
	Addresses(ctx context.Context, t mptcp.Token) iter.Seq2[mptcp.Endpoint, error]
	Address(ctx context.Context, t mptcp.Token, id mptcp.AddressID) (mptcp.Endpoint, error)
}

// complaint is one of the helper's own complaints: exit code 1.
type complaint struct{ text string }

func (e *complaint) Error() string { return e.text }

func complain(format string, args ...any) error { return &complaint{fmt.Sprintf(format, args...)} }

// errSyntax asks for the helper's usage text.
var errSyntax = errors.New("syntax")

// Run behaves as pm_nl_ctl does with the same arguments, and returns its exit code.
func (h *Program) Run(ctx context.Context, args []string) int {
	err := h.run(ctx, args)
	if errors.Is(err, errSyntax) {
		fmt.Fprintf(h.Stderr, "%s %s", h.Name, syntaxText)
		return 0
	}
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return 128 + int(syscall.SIGTERM)
	}
	if own, ok := errors.AsType[*complaint](err); ok {
		fmt.Fprintf(h.Stderr, "%s: %s\n", h.Name, own.text)
		return exit.Failed
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		errno = syscall.EINVAL // what pathmanager does not send, the kernel would refuse
	}
	fmt.Fprintf(
		h.Stderr, "netlink error -%d (%s)\n%s: bailing out due to netlink error[s]\n", int(errno),
		compat.Strerror(errno), h.Name,
	)
	return exit.Failed
}

const syntaxText = `add|ann|rem|csf|dsf|get|set|del|flush|dump|limits|events|listen [ARGUMENTS]
	add IP [flags signal|subflow|backup|fullmesh|laminar[,...]] [id NR] [dev NAME] [port NR]
	ann IP id NR token NR [port NR] [dev NAME]
	rem id NR token NR
	csf lip IP lid NR rip IP rport NR token NR
	dsf lip IP lport NR rip IP rport NR token NR
	del ID [IP]
	get ID [token NR]
	set IP|id NR flags [no]backup|[no]fullmesh[,...] [port NR] [token NR] [rip IP] [rport NR]
	flush
	dump [token NR]
	limits [ADDRESSES SUBFLOWS]
	events
	listen IP PORT
`

func (h *Program) run(ctx context.Context, args []string) (err error) {
	if len(args) == 0 {
		return errSyntax
	}
	verbs := map[string]func(context.Context, []string) error{
		"add": h.add, "ann": h.announce, "rem": h.remove, "csf": h.create, "dsf": h.destroy,
		"get": h.get, "set": h.set, "del": h.del, "flush": h.flush, "dump": h.dump, "limits": h.limits,
		"events": h.events, "listen": h.listen,
	}
	verb, ok := verbs[args[0]]
	if !ok {
		fmt.Fprintf(h.Stderr, "unknown sub-command: %s", args[0])
		return errSyntax
	}
	if h.pm, err = h.PathManager(); err != nil {
		return err
	}
	return verb(ctx, args[1:])
}

// words are the values behind the keywords of a helper's command line.
type words struct {
	endpoint mptcp.Endpoint
	hasID    bool
	token    mptcp.Token
	hasToken bool
	values   map[string]string // of the keywords without a place above
}

// parse reads pairs of keyword and value. what names the value in complaints.
func (w *words) parse(args []string, what map[string]string) error {
	w.values = map[string]string{}
	for i := 0; i < len(args); i += 2 {
		keyword := args[i]
		missing, known := what[keyword]
		if !known {
			return complain("unknown keyword %s", keyword)
		}
		if i+1 >= len(args) {
			return complain(" missing %s", missing)
		}
		if err := w.pair(keyword, args[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *words) pair(keyword, value string) error {
	switch keyword {
	case "id":
		w.endpoint.ID, w.hasID = mptcp.AddressID(atoi(value)), true
	case "port":
		w.endpoint.Port = uint16(atoi(value))
	case "token":
		w.token, w.hasToken = mptcp.Token(atoi(value)), true
	case "dev":
		index, err := device.Lookup(value)
		if err != nil {
			return complain("unknown device %s: %v", value, compat.CError(err))
		}
		w.endpoint.IfIndex = index
	default:
		w.values[keyword] = value
	}
	return nil
}

// address reads the value of a keyword as an address.
func (w *words) address(keyword string) (netip.Addr, error) {
	return parseAddress(w.values[keyword])
}

func (w *words) port(keyword string) uint16 { return uint16(atoi(w.values[keyword])) }

func parseAddress(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, complain("can't parse ip %s", s)
	}
	return a, nil
}

// atoi reads the digits that s starts with, as atoi(3) does.
func atoi(s string) uint64 {
	s = strings.TrimLeft(s, " \t\n")
	negative := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(s[:end], 10, 63)
	if err != nil {
		return 0
	}
	if negative {
		return -n
	}
	return n
}

// parseFlags reads a list of flags, of which allowed gives the bits.
func parseFlags(list string, allowed map[string]mptcp.EndpointFlags) (flags mptcp.EndpointFlags, err error) {
	for name := range strings.SplitSeq(list, ",") {
		flag, ok := allowed[name]
		if !ok && name != "" {
			return 0, complain("unknown flag %s", list)
		}
		flags |= flag
	}
	return flags, nil
}

func (h *Program) add(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errSyntax
	}
	address, err := parseAddress(args[0])
	if err != nil {
		return err
	}
	// "unknown" is a bit that no kernel knows, and that each must drop.
	allowed := map[string]mptcp.EndpointFlags{
		"subflow": mptcp.FlagSubflow, "signal": mptcp.FlagSignal, "backup": mptcp.FlagBackup,
		"fullmesh": mptcp.FlagFullmesh, "laminar": mptcp.FlagLaminar, "unknown": 1 << 7,
	}
	var w words
	for i := 1; i < len(args); i += 2 {
		pair := args[i:min(i+2, len(args))]
		values := map[string]string{"flags": "flags value", "id": "id value", "dev": "dev name", "port": "port value"}
		if err := w.parse(pair, values); err != nil {
			return err
		}
		if list, ok := w.values["flags"]; ok {
			flags, err := parseFlags(list, allowed)
			if err != nil {
				return err
			}
			w.endpoint.Flags |= flags
		}
		switch signal := w.endpoint.Flags.Has(mptcp.FlagSignal); {
		case signal && w.endpoint.Flags.Has(mptcp.FlagFullmesh):
			return complain("error flag fullmesh")
		case pair[0] == "port" && !signal:
			return complain(" flags must be signal when using port")
		}
	}
	w.endpoint.Address = address
	return h.pm.AddEndpoint(ctx, w.endpoint)
}

func (h *Program) set(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errSyntax
	}
	what := map[string]string{
		"token": "token value", "flags": "flags value", "port": "port value",
		"rport": "remote port", "rip": "remote ip",
	}
	var w words
	var address netip.Addr
	byID := args[0] == "id"
	if byID {
		if len(args) < 2 {
			return complain(" missing id value")
		}
		args = args[1:]
	} else {
		a, err := parseAddress(args[0])
		if err != nil {
			return err
		}
		address = a
	}
	if len(args) < 2 {
		return complain(" missing flags keyword")
	}
	if err := w.parse(args[1:], what); err != nil {
		return err
	}
	if byID {
		w.endpoint.ID = mptcp.AddressID(atoi(args[0]))
		if w.endpoint.Port != 0 {
			return complain(" port can't be used with id")
		}
	}
	flags, err := parseFlags(w.values["flags"], map[string]mptcp.EndpointFlags{
		"backup": mptcp.FlagBackup, "fullmesh": mptcp.FlagFullmesh, "nobackup": 0, "nofullmesh": 0,
	})
	if err != nil {
		return err
	}
	w.endpoint.Address, w.endpoint.Flags = address, flags
	return h.setFlags(ctx, &w)
}

func (h *Program) setFlags(ctx context.Context, w *words) error {
	if w.token == 0 {
		selector := pathmanager.Selector{ID: w.endpoint.ID, Address: w.endpoint.Address, Port: w.endpoint.Port}
		return h.pm.SetEndpointFlags(ctx, selector, w.endpoint.Flags)
	}
	var remote netip.Addr
	if rip, ok := w.values["rip"]; ok {
		a, err := parseAddress(rip)
		if err != nil {
			return err
		}
		remote = a
	}
	return h.pm.SetSubflowFlags(ctx, w.token, w.endpoint, netip.AddrPortFrom(remote, w.port("rport")))
}

func (h *Program) del(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return errSyntax
	}
	id := mptcp.AddressID(atoi(args[0]))
	if id != 0 {
		return h.pm.RemoveEndpoint(ctx, id) // the second word may be an empty one
	}
	if len(args) != 2 {
		return errSyntax
	}
	address, err := parseAddress(args[1])
	if err != nil {
		return err
	}
	return h.pm.CloseInitialSubflows(ctx, address)
}

func (h *Program) get(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errSyntax
	}
	id, token := mptcp.AddressID(atoi(args[0])), parseToken(args[1:])
	var e mptcp.Endpoint
	var err error
	if token == 0 {
		e, err = h.pm.Endpoint(ctx, id)
	} else {
		e, err = h.pm.Address(ctx, token, id)
	}
	if err != nil {
		return err
	}
	return h.print(e)
}

func (h *Program) dump(ctx context.Context, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return errSyntax
	}
	list, token := h.pm.Endpoints(ctx), parseToken(args)
	if token != 0 {
		list = h.pm.Addresses(ctx, token)
	}
	var all []mptcp.Endpoint
	for e, err := range list {
		if err != nil {
			// The helper does not look at the answer that ends a dump, where the
			// kernel says that it does not know the token.
			return nil
		}
		all = append(all, e)
	}
	return h.print(all...)
}

// parseToken reads "token NR"; 0 is none.
func parseToken(args []string) mptcp.Token {
	if len(args) == 2 && args[0] == "token" {
		return mptcp.Token(atoi(args[1]))
	}
	return 0
}

func (h *Program) print(all ...mptcp.Endpoint) error {
	var b []byte
	for i := range all {
		b = appendEndpoint(b, &all[i])
	}
	_, err := h.Stdout.Write(b)
	return err
}

func (h *Program) flush(ctx context.Context, _ []string) error { return h.pm.FlushEndpoints(ctx) }

func (h *Program) limits(ctx context.Context, args []string) error {
	if len(args) == 2 {
		accepted, subflows := uint32(atoi(args[0])), uint32(atoi(args[1]))
		return h.pm.SetLimits(ctx, pathmanager.LimitsUpdate{AddAddrAccepted: &accepted, Subflows: &subflows})
	}
	l, err := h.pm.Limits(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h.Stdout, "accept %d\nsubflows %d\n", l.AddAddrAccepted, l.Subflows)
	return err
}

func (h *Program) announce(ctx context.Context, args []string) error {
	if len(args) < 5 {
		return errSyntax
	}
	address, err := parseAddress(args[0])
	if err != nil {
		return err
	}
	var w words
	err = w.parse(
		args[1:],
		map[string]string{"id": "id value", "dev": "dev name", "port": "port value", "token": "token value"},
	)
	if err != nil {
		return err
	}
	if !w.hasID || !w.hasToken {
		return complain(" missing mandatory inputs")
	}
	w.endpoint.Address, w.endpoint.Flags = address, mptcp.FlagSignal
	return h.pm.Announce(ctx, w.token, w.endpoint)
}

func (h *Program) remove(ctx context.Context, args []string) error {
	if len(args) < 4 {
		return errSyntax
	}
	var w words
	if err := w.parse(args, map[string]string{"id": "id value", "token": "token value"}); err != nil {
		return err
	}
	return h.pm.RemoveAddress(ctx, w.token, w.endpoint.ID)
}

// pair reads the words of csf and dsf, which need all of them.
func (h *Program) pair(args []string, local string) (w words, lip, rip netip.Addr, err error) {
	if len(args) < 10 {
		return w, lip, rip, errSyntax
	}
	err = w.parse(args, map[string]string{
		"lip": "local IP", local: "local " + strings.TrimPrefix(local, "l"),
		"rip": "remote IP", "rport": "remote port", "token": "token",
	})
	if err != nil {
		return w, lip, rip, err
	}
	if lip, err = w.address("lip"); err != nil {
		return w, lip, rip, err
	}
	rip, err = w.address("rip")
	return w, lip, rip, err
}

func (h *Program) create(ctx context.Context, args []string) error {
	w, lip, rip, err := h.pair(args, "lid")
	if err != nil {
		return err
	}
	local := mptcp.Endpoint{ID: mptcp.AddressID(w.port("lid")), Address: lip, Flags: mptcp.FlagSubflow}
	return h.pm.CreateSubflow(
		ctx, w.token, local, pathmanager.RemoteAddress{Addr: netip.AddrPortFrom(rip, w.port("rport"))},
	)
}

func (h *Program) destroy(ctx context.Context, args []string) error {
	w, lip, rip, err := h.pair(args, "lport")
	if err != nil {
		return err
	}
	return h.pm.DestroySubflow(
		ctx, w.token, netip.AddrPortFrom(lip, w.port("lport")), netip.AddrPortFrom(rip, w.port("rport")),
	)
}
