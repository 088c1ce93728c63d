package cli

import (
	"context"
	"errors"
	"fmt"
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

// helper behaves as the kernel's test helper pm_nl_ctl: its grammar, its output,
// its exit codes, which are 0 for wrong usage.
type helper struct {
	*app
	name string // as it was called, which its messages start with
	pm   pathManager
}

// helperError is one of the helper's own complaints: exit code 1.
type helperError struct{ text string }

func (e *helperError) Error() string { return e.text }

func complain(format string, args ...any) error { return &helperError{fmt.Sprintf(format, args...)} }

// errHelperSyntax asks for the helper's usage text.
var errHelperSyntax = errors.New("syntax")

func (a *app) pmNlCtl(ctx context.Context, name string, args []string) int {
	h := &helper{app: a, name: name}
	err := h.run(ctx, args)
	if errors.Is(err, errHelperSyntax) {
		fmt.Fprintf(h.Stderr, "%s %s", name, helperSyntax)
		return 0
	}
	if err == nil || errors.Is(err, syscall.EPIPE) {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		return 128 + int(syscall.SIGTERM)
	}
	if own, ok := errors.AsType[*helperError](err); ok {
		fmt.Fprintf(h.Stderr, "%s: %s\n", name, own.text)
		return exit.Failed
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	if !ok {
		errno = syscall.EINVAL // what pathmanager does not send, the kernel would refuse
	}
	fmt.Fprintf(h.Stderr, "netlink error -%d (%s)\n%s: bailing out due to netlink error[s]\n", int(errno), compat.Strerror(errno), name)
	return exit.Failed
}

const helperSyntax = `add|ann|rem|csf|dsf|get|set|del|flush|dump|limits|events|listen [ARGUMENTS]
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

func (h *helper) run(ctx context.Context, args []string) (err error) {
	if len(args) == 0 {
		return errHelperSyntax
	}
	verbs := map[string]func(context.Context, []string) error{
		"add": h.add, "ann": h.announce, "rem": h.remove, "csf": h.create, "dsf": h.destroy,
		"get": h.get, "set": h.set, "del": h.del, "flush": h.flush, "dump": h.dump, "limits": h.limits,
		"events": h.events, "listen": h.listen,
	}
	verb, ok := verbs[args[0]]
	if !ok {
		fmt.Fprintf(h.Stderr, "unknown sub-command: %s", args[0])
		return errHelperSyntax
	}
	if h.pm, err = h.pathManager(); err != nil {
		return err
	}
	return verb(ctx, args[1:])
}

// helperWords are the values behind the keywords of a helper's command line.
type helperWords struct {
	endpoint mptcp.Endpoint
	hasID    bool
	token    mptcp.Token
	hasToken bool
	values   map[string]string // of the keywords without a place above
}

// parse reads pairs of keyword and value. what names the value in complaints.
func (w *helperWords) parse(args []string, what map[string]string) error {
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

func (w *helperWords) pair(keyword, value string) error {
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
func (w *helperWords) address(keyword string) (netip.Addr, error) {
	return helperAddress(w.values[keyword])
}

func (w *helperWords) port(keyword string) uint16 { return uint16(atoi(w.values[keyword])) }

func helperAddress(s string) (netip.Addr, error) {
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

// helperFlags reads a list of flags, of which allowed gives the bits.
func helperFlags(list string, allowed map[string]mptcp.EndpointFlags) (flags mptcp.EndpointFlags, err error) {
	for name := range strings.SplitSeq(list, ",") {
		flag, ok := allowed[name]
		if !ok && name != "" {
			return 0, complain("unknown flag %s", list)
		}
		flags |= flag
	}
	return flags, nil
}

func (h *helper) add(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errHelperSyntax
	}
	address, err := helperAddress(args[0])
	if err != nil {
		return err
	}
	// "unknown" is a bit that no kernel knows, and that each must drop.
	allowed := map[string]mptcp.EndpointFlags{
		"subflow": mptcp.FlagSubflow, "signal": mptcp.FlagSignal, "backup": mptcp.FlagBackup,
		"fullmesh": mptcp.FlagFullmesh, "laminar": mptcp.FlagLaminar, "unknown": 1 << 7,
	}
	var w helperWords
	for i := 1; i < len(args); i += 2 {
		pair := args[i:min(i+2, len(args))]
		if err := w.parse(pair, map[string]string{"flags": "flags value", "id": "id value", "dev": "dev name", "port": "port value"}); err != nil {
			return err
		}
		if list, ok := w.values["flags"]; ok {
			flags, err := helperFlags(list, allowed)
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

func (h *helper) set(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errHelperSyntax
	}
	what := map[string]string{
		"token": "token value", "flags": "flags value", "port": "port value",
		"rport": "remote port", "rip": "remote ip",
	}
	var w helperWords
	var address netip.Addr
	byID := args[0] == "id"
	if byID {
		if len(args) < 2 {
			return complain(" missing id value")
		}
		args = args[1:]
	} else {
		a, err := helperAddress(args[0])
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
	flags, err := helperFlags(w.values["flags"], map[string]mptcp.EndpointFlags{
		"backup": mptcp.FlagBackup, "fullmesh": mptcp.FlagFullmesh, "nobackup": 0, "nofullmesh": 0,
	})
	if err != nil {
		return err
	}
	w.endpoint.Address, w.endpoint.Flags = address, flags
	return h.setFlags(ctx, &w)
}

func (h *helper) setFlags(ctx context.Context, w *helperWords) error {
	if w.token == 0 {
		selector := pathmanager.Selector{ID: w.endpoint.ID, Address: w.endpoint.Address, Port: w.endpoint.Port}
		return h.pm.SetEndpointFlags(ctx, selector, w.endpoint.Flags)
	}
	var remote netip.Addr
	if rip, ok := w.values["rip"]; ok {
		a, err := helperAddress(rip)
		if err != nil {
			return err
		}
		remote = a
	}
	return h.pm.SetSubflowFlags(ctx, w.token, w.endpoint, netip.AddrPortFrom(remote, w.port("rport")))
}

func (h *helper) del(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return errHelperSyntax
	}
	id := mptcp.AddressID(atoi(args[0]))
	if id != 0 {
		return h.pm.RemoveEndpoint(ctx, id) // the second word may be an empty one
	}
	if len(args) != 2 {
		return errHelperSyntax
	}
	address, err := helperAddress(args[1])
	if err != nil {
		return err
	}
	return h.pm.CloseInitialSubflows(ctx, address)
}

func (h *helper) get(ctx context.Context, args []string) error {
	if len(args) != 1 && len(args) != 3 {
		return errHelperSyntax
	}
	id, token := mptcp.AddressID(atoi(args[0])), helperToken(args[1:])
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

func (h *helper) dump(ctx context.Context, args []string) error {
	if len(args) != 0 && len(args) != 2 {
		return errHelperSyntax
	}
	list, token := h.pm.Endpoints(ctx), helperToken(args)
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

// helperToken reads "token NR"; 0 is none.
func helperToken(args []string) mptcp.Token {
	if len(args) == 2 && args[0] == "token" {
		return mptcp.Token(atoi(args[1]))
	}
	return 0
}

func (h *helper) print(all ...mptcp.Endpoint) error {
	var b []byte
	for i := range all {
		b = appendHelperEndpoint(b, &all[i])
	}
	_, err := h.Stdout.Write(b)
	return err
}

func (h *helper) flush(ctx context.Context, _ []string) error { return h.pm.FlushEndpoints(ctx) }

func (h *helper) limits(ctx context.Context, args []string) error {
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

func (h *helper) announce(ctx context.Context, args []string) error {
	if len(args) < 5 {
		return errHelperSyntax
	}
	address, err := helperAddress(args[0])
	if err != nil {
		return err
	}
	var w helperWords
	err = w.parse(args[1:], map[string]string{"id": "id value", "dev": "dev name", "port": "port value", "token": "token value"})
	if err != nil {
		return err
	}
	if !w.hasID || !w.hasToken {
		return complain(" missing mandatory inputs")
	}
	w.endpoint.Address, w.endpoint.Flags = address, mptcp.FlagSignal
	return h.pm.Announce(ctx, w.token, w.endpoint)
}

func (h *helper) remove(ctx context.Context, args []string) error {
	if len(args) < 4 {
		return errHelperSyntax
	}
	var w helperWords
	if err := w.parse(args, map[string]string{"id": "id value", "token": "token value"}); err != nil {
		return err
	}
	return h.pm.RemoveAddress(ctx, w.token, w.endpoint.ID)
}

// pair reads the words of csf and dsf, which need all of them.
func (h *helper) pair(args []string, local string) (w helperWords, lip, rip netip.Addr, err error) {
	if len(args) < 10 {
		return w, lip, rip, errHelperSyntax
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

func (h *helper) create(ctx context.Context, args []string) error {
	w, lip, rip, err := h.pair(args, "lid")
	if err != nil {
		return err
	}
	local := mptcp.Endpoint{ID: mptcp.AddressID(w.port("lid")), Address: lip, Flags: mptcp.FlagSubflow}
	return h.pm.CreateSubflow(ctx, w.token, local, pathmanager.RemoteAddress{Addr: netip.AddrPortFrom(rip, w.port("rport"))})
}

func (h *helper) destroy(ctx context.Context, args []string) error {
	w, lip, rip, err := h.pair(args, "lport")
	if err != nil {
		return err
	}
	return h.pm.DestroySubflow(ctx, w.token, netip.AddrPortFrom(lip, w.port("lport")), netip.AddrPortFrom(rip, w.port("rport")))
}
