package hostnet

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Config says from where to read. The zero value is the live host.
type Config struct {
	// Sys is where sysfs is mounted, "/sys" if empty: it tells which links are
	// wireless.
	Sys string
}

// Reader asks the kernel about links, addresses, routes and rules of one network
// namespace: that of the thread that called [New]. It may be used by several
// goroutines at once. No question needs a privilege.
type Reader struct {
	sys  string
	home *Namespace // nil without /proc: a socket is not replaced then

	mu       sync.Mutex
	handle   *netlink.Handle
	lookups  int    // socket of Devices
	sequence uint32 // of its next request
	closed   bool
}

// patience bounds how long an answer of the kernel may take. It comes at once,
// except where the kernel is stuck.
const patience = 30 * time.Second

// New opens a reader in the network namespace of the calling thread. The
// configuration may be nil.
func New(c *Config) (*Reader, error) {
	if c == nil {
		c = &Config{}
	}
	r := &Reader{sys: cmp.Or(c.Sys, "/sys")}
	err := r.open()
	if err == nil {
		if r.lookups, err = openLookups(); err != nil {
			r.handle.Close()
		}
	}
	if err != nil {
		return nil, &Error{Op: "open rtnetlink", Err: err}
	}
	r.home, _ = CurrentNamespace()
	return r, nil
}

// open gives the reader a socket in the network namespace of the calling thread.
func (r *Reader) open() error {
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	if err := handle.SetSocketTimeout(patience); err != nil {
		handle.Close()
		return err
	}
	r.handle = handle
	return nil
}

// askAttempts is how often a question is asked when others wrote to the socket.
const askAttempts = 4

// ask asks through the reader's socket. Anybody with CAP_NET_ADMIN in the namespace, such
// as root of a container, can write to the socket: then the answer finds no room, or the
// library meets a message that is not the kernel's. The question is asked again through
// another socket. The caller holds mu.
func (r *Reader) ask(question func(*netlink.Handle) error) error {
	for attempt := 1; ; attempt++ {
		err := question(r.handle)
		if attempt == askAttempts || !disturbed(err) || r.reopen() != nil {
			return err
		}
	}
}

// disturbed reports whether others may have written to the socket: there was no room for
// the answer, or the library met a message that is broken (EINVAL, which may also be the
// kernel's own answer) or not the kernel's.
func disturbed(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EINVAL) ||
		strings.HasPrefix(text, "Wrong sender portid") || strings.HasPrefix(text, "Got short response")
}

// reopen replaces the socket by another one in the same network namespace.
func (r *Reader) reopen() error {
	if r.home == nil {
		return fs.ErrNotExist
	}
	old := r.handle
	err := r.home.inside(r.open)
	if err == nil {
		old.Close()
	}
	return err
}

// Close closes the reader. Requests return [io/fs.ErrClosed] from then on.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return &Error{Op: "close", Err: err}
	}
	r.closed = true
	r.handle.Close()
	unix.Close(r.lookups)
	if r.home != nil {
		return r.home.Close()
	}
	return nil
}

// usable returns an error once the reader is closed: a closed handle would ask in
// the calling thread's namespace. The caller holds mu.
func (r *Reader) usable() error {
	if r.closed {
		return fs.ErrClosed
	}
	return nil
}

// dumpAttempts is how often a dump is begun anew when something changed under it.
const dumpAttempts = 5

// dump runs a dump until nothing changed under it. If changes go on, the last
// answer is taken: it is no older than the question.
func dump[T any](ctx context.Context, r *Reader, op string, list func(*netlink.Handle) ([]T, error)) ([]T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	for attempt := 1; ; attempt++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var items []T
		err := r.ask(func(h *netlink.Handle) (err error) {
			items, err = list(h)
			return err
		})
		interrupted := errors.Is(err, netlink.ErrDumpInterrupted)
		switch {
		case err == nil, interrupted && attempt == dumpAttempts:
			return items, nil
		case !interrupted:
			return nil, &Error{Op: op, Err: err}
		}
	}
}

// withoutFamily reports whether the kernel has not the family that was asked for,
// as a host without IPv6.
func withoutFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT)
}

// dumpFamilies runs a dump for IPv4 and for IPv6, which may be absent.
func dumpFamilies[T any](
	ctx context.Context, r *Reader, op string, list func(h *netlink.Handle, family int) ([]T, error),
) ([]T, error) {
	var all []T
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		items, err := dump(ctx, r, op, func(h *netlink.Handle) ([]T, error) { return list(h, family) })
		if err != nil && !withoutFamily(err) {
			return nil, err
		}
		all = append(all, items...)
	}
	return all, nil
}

// Links returns the links, in the order of their indices.
func (r *Reader) Links(ctx context.Context) ([]Link, error) {
	links, err := dump(ctx, r, "link dump", (*netlink.Handle).LinkList)
	if err != nil {
		return nil, err
	}
	result := make([]Link, 0, len(links))
	for _, l := range links {
		result = append(result, r.link(l))
	}
	return result, nil
}

// Addresses returns the addresses of all links.
func (r *Reader) Addresses(ctx context.Context) ([]Address, error) {
	addrs, err := dumpFamilies(ctx, r, "address dump", func(h *netlink.Handle, family int) ([]netlink.Addr, error) {
		return h.AddrList(nil, family)
	})
	if err != nil {
		return nil, err
	}
	result := make([]Address, 0, len(addrs))
	for _, a := range addrs {
		if converted, ok := convertAddress(a); ok {
			result = append(result, converted)
		}
	}
	return result, nil
}

// Routes returns the routes of all tables, those of the table "local" included.
func (r *Reader) Routes(ctx context.Context) ([]Route, error) {
	routes, err := dumpFamilies(ctx, r, "route dump", func(h *netlink.Handle, family int) ([]netlink.Route, error) {
		all := &netlink.Route{Table: unix.RT_TABLE_UNSPEC}
		return h.RouteListFiltered(family, all, netlink.RT_FILTER_TABLE)
	})
	if err != nil {
		return nil, err
	}
	result := make([]Route, 0, len(routes))
	for _, route := range routes {
		result = append(result, convertRoute(route))
	}
	return result, nil
}

// Rules returns the rules of both families, each in the order in which the kernel
// follows them.
func (r *Reader) Rules(ctx context.Context) ([]Rule, error) {
	rules, err := dumpFamilies(ctx, r, "rule dump", (*netlink.Handle).RuleList)
	if err != nil {
		return nil, err
	}
	result := make([]Rule, 0, len(rules))
	for _, rule := range rules {
		result = append(result, convertRule(rule))
	}
	return result, nil
}

// Lookup asks which route packets to Dst take. The error [errors.Is]
// [syscall.ENETUNREACH] or [syscall.EHOSTUNREACH] where there is none, and
// [syscall.EACCES] where a route prohibits it. Where Src is no address of this
// host it is [syscall.ENETUNREACH], on older kernels [syscall.EINVAL].
//
// OIF asks what a socket takes that is bound to the device. IPv4 then answers even
// where no route leads to Dst by it: it takes Dst to be on the link, and the
// answer has no gateway; see [Network.OnLink].
func (r *Reader) Lookup(ctx context.Context, req LookupRequest) (Route, error) {
	route, err := r.lookup(ctx, req)
	if req.OIF != 0 && req.Src.IsValid() && req.Dst.Unmap().Is6() && (err != nil || route.IfIndex != req.OIF) {
		// Given a source, IPv6 takes the device of a lookup for a mere wish, unlike
		// that of a socket. Without a source it insists on the device.
		bound := req
		bound.Src = netip.Addr{}
		if strict, err := r.lookup(ctx, bound); err == nil && strict.IfIndex == req.OIF {
			strict.Source = req.Src
			return strict, nil
		}
	}
	return route, err
}

// lookup asks the kernel once.
func (r *Reader) lookup(ctx context.Context, req LookupRequest) (Route, error) {
	if err := ctx.Err(); err != nil {
		return Route{}, err
	}
	options := &netlink.RouteGetOptions{OifIndex: req.OIF, Mark: req.Mark}
	if req.HasUID {
		options.UID = &req.UID
	}
	if req.Src.IsValid() {
		options.SrcAddr = req.Src.Unmap().AsSlice()
	}
	r.mu.Lock()
	var routes []netlink.Route
	err := r.usable()
	if err == nil {
		err = r.ask(func(h *netlink.Handle) (err error) {
			routes, err = h.RouteGetWithOptions(req.Dst.Unmap().AsSlice(), options)
			return err
		})
	}
	r.mu.Unlock()
	if err == nil && len(routes) == 0 {
		err = unix.ENETUNREACH
	}
	if err != nil {
		return Route{}, &Error{Op: "route lookup", Object: req.String(), Err: err}
	}
	route := convertRoute(routes[0])
	if req.Src.IsValid() {
		route.Source = req.Src.Unmap() // IPv4 does not repeat what it was told
	}
	return route, nil
}
