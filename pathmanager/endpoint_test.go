package pathmanager

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// endpoints lists all endpoints.
func endpoints(t *testing.T, c *Client) []mptcp.Endpoint {
	t.Helper()
	var all []mptcp.Endpoint
	for e, err := range c.Endpoints(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func TestEndpointsOfTheKernel(t *testing.T) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	c := dial(t, ns)
	ctx := t.Context()
	if all := endpoints(t, c); len(all) != 0 {
		t.Fatalf("a new namespace has %v", all)
	}
	want := []mptcp.Endpoint{
		{ID: 1, Address: netip.MustParseAddr("10.0.0.1"), Flags: mptcp.FlagSubflow | mptcp.FlagSignal},
		{ID: 7, Address: netip.MustParseAddr("fd00::7"),
			Flags: mptcp.FlagSubflow | mptcp.FlagBackup | mptcp.FlagFullmesh, IfIndex: 99999},
		{ID: 8, Address: first, Port: 9999, Flags: mptcp.FlagSignal},
		{ID: 9, Address: netip.MustParseAddr("10.0.0.9")},
	}
	add := slices.Clone(want)
	add[0].ID = 0 // the kernel chooses the first free one
	for _, e := range add {
		if err := c.AddEndpoint(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if got := endpoints(t, c); !slices.Equal(got, want) {
		t.Errorf("endpoints\n%v, want\n%v", got, want)
	}
	if got, err := c.Endpoint(ctx, 8); err != nil || got != want[2] {
		t.Errorf("endpoint 8 is %v, %v", got, err)
	}
	if err := c.RemoveEndpoint(ctx, 7); err != nil {
		t.Error(err)
	}
	if _, err := c.Endpoint(ctx, 7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("endpoint 7 after its removal: %v", err)
	}
	if err := c.FlushEndpoints(ctx); err != nil {
		t.Error(err)
	}
	if got := endpoints(t, c); len(got) != 0 {
		t.Errorf("after the flush: %v", got)
	}
}

// A caller that stops in the middle of a list leaves nothing behind in the socket.
func TestListLeftEarly(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	for i := range byte(6) {
		if err := c.AddEndpoint(t.Context(), mptcp.Endpoint{Address: netip.AddrFrom4([4]byte{10, 0, 0, i + 1})}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		for range c.Endpoints(t.Context()) {
			break
		}
	}
	if got, err := c.Limits(t.Context()); err != nil || got.Subflows == 0 {
		t.Errorf("limits %v, %v", got, err)
	}
	if got := endpoints(t, c); len(got) != 6 {
		t.Errorf("%d endpoints", len(got))
	}
}

// refusal is an error, and what it must be.
type refusal struct {
	name  string
	err   error
	is    error
	errno syscall.Errno
	text  string
}

// assertRefusals checks errors against what they must be, and against being
// anything else.
func assertRefusals(t *testing.T, list []refusal) {
	t.Helper()
	// Before Linux 6.13 many refusals have no words, and the words tell what they are.
	worded := !labtest.KernelBefore(t, 6, 13)
	all := []error{
		fs.ErrNotExist,
		fs.ErrExist,
		fs.ErrPermission,
		fs.ErrInvalid,
		mptcp.ErrTooMany,
		mptcp.ErrNotSupported,
	}
	for _, r := range list {
		for _, kind := range all {
			if got := errors.Is(r.err, kind); got != (kind == r.is) && (worded || r.errno != syscall.EINVAL) {
				t.Errorf("%s: %v: is %q: %v", r.name, r.err, kind, got)
			}
		}
		if r.errno != 0 && !errors.Is(r.err, r.errno) && (worded || !errors.Is(r.err, syscall.EINVAL)) {
			t.Errorf("%s: %v: want errno %d", r.name, r.err, r.errno)
		}
		if r.err == nil || worded && r.err.Error() != r.text {
			t.Errorf("%s:\n got %q\nwant %q", r.name, r.err, r.text)
		}
	}
}

func TestRefusalsOfEndpointCommands(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ctx := t.Context()
	a := netip.MustParseAddr("10.0.0.1")
	add := func(e mptcp.Endpoint) error {
		if !e.Address.IsValid() {
			e.Address = a
		}
		return c.AddEndpoint(ctx, e)
	}
	if err := add(mptcp.Endpoint{ID: 5}); err != nil {
		t.Fatal(err)
	}
	other := netip.MustParseAddr("10.0.0.2")
	assertRefusals(t, []refusal{
		{
			"same address", add(mptcp.Endpoint{}), fs.ErrExist, syscall.EEXIST,
			"endpoint add 10.0.0.1: too many addresses or duplicate one: -17",
		},
		{
			"same id", add(mptcp.Endpoint{ID: 5, Address: other}), fs.ErrExist, syscall.EBUSY,
			"endpoint add 10.0.0.2: too many addresses or duplicate one: -16",
		},
		{
			"signal and fullmesh",
			add(mptcp.Endpoint{Address: other, Flags: mptcp.FlagSignal | mptcp.FlagFullmesh}),
			fs.ErrInvalid, syscall.EINVAL,
			"endpoint add 10.0.0.2: flags mustn't have both signal and fullmesh",
		},
		{
			"implicit", add(mptcp.Endpoint{Address: other, Flags: mptcp.FlagImplicit}), fs.ErrInvalid, syscall.EINVAL,
			"endpoint add 10.0.0.2: can't create IMPLICIT endpoint",
		},
		{
			"port without signal", add(mptcp.Endpoint{Address: other, Port: 1, Flags: mptcp.FlagSubflow}),
			fs.ErrInvalid, syscall.EINVAL,
			"endpoint add 10.0.0.2: flags must have signal and not subflow when using port",
		},
		{
			"port, not local", add(mptcp.Endpoint{Address: other, Port: 9999, Flags: mptcp.FlagSignal}), nil,
			syscall.EADDRNOTAVAIL,
			"endpoint add 10.0.0.2: create listen socket error: -99",
		},
		{"no address", c.AddEndpoint(ctx, mptcp.Endpoint{}), fs.ErrInvalid, 0, "endpoint add: an address is needed"},
		{
			"zone", add(mptcp.Endpoint{Address: netip.MustParseAddr("fe80::1%eth0")}), fs.ErrInvalid, 0,
			"endpoint add fe80::1%eth0: an address takes no zone: name the device on its own",
		},
		{"remove unknown", c.RemoveEndpoint(ctx, 99), fs.ErrNotExist, syscall.EINVAL,
			"endpoint delete id 99: address not found"},
		{"change unknown", c.SetEndpointFlags(ctx, Selector{ID: 99}, 0), fs.ErrNotExist, syscall.EINVAL,
			"endpoint change id 99: address not found"},
		{
			"change unknown address", c.SetEndpointFlags(ctx, Selector{Address: other, Port: 3}, 0), fs.ErrNotExist,
			syscall.EINVAL,
			"endpoint change 10.0.0.2:3: address not found",
		},
		{
			"change nothing",
			c.SetEndpointFlags(ctx, Selector{}, 0),
			fs.ErrInvalid,
			0,
			"endpoint change: an address is needed",
		},
		{
			"no ADDR", c.do(ctx, "endpoint add", "", request{command: CommandAddEndpoint}, nil),
			fs.ErrInvalid, syscall.EINVAL,
			"endpoint add: missing attribute addr",
		},
		{"unknown command", c.do(ctx, "command 77", "", request{command: 77}, nil), mptcp.ErrNotSupported,
			syscall.EOPNOTSUPP, "command 77: operation not supported"},
	})
	if _, err := c.Endpoint(ctx, 99); err == nil || err.Error() != "endpoint show id 99: address not found" ||
		!errors.Is(err, fs.ErrNotExist) {
		t.Errorf("show unknown: %v", err)
	}
}

// The size of the table is the kernel's: 8 up to Linux 7.1, 255 since.
func TestTableOfEndpointsFull(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	for i := range 256 {
		a := netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})
		err := c.AddEndpoint(t.Context(), mptcp.Endpoint{Address: a, Flags: mptcp.FlagSubflow})
		if err == nil {
			continue
		}
		if !errors.Is(err, mptcp.ErrTooMany) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%d endpoints, then %v", i, err)
		}
		if got := len(endpoints(t, c)); got != i || i < 8 {
			t.Errorf("full with %d endpoints of %d", got, i)
		}
		return
	}
	t.Error("the table never fills")
}

// Unknown flags are dropped by the kernel without a word: reading back tells.
func TestUnknownFlagsAreReadBackMasked(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	if err := c.AddEndpoint(t.Context(), mptcp.Endpoint{ID: 1, Address: first,
		Flags: mptcp.FlagSubflow | 0x80}); err != nil {
		t.Fatal(err)
	}
	e, err := c.Endpoint(t.Context(), 1)
	if err != nil || !e.Flags.Has(mptcp.FlagSubflow) {
		t.Fatalf("%v, %v", e, err)
	}
	if e.Flags.Unknown() != 0 {
		t.Logf("this kernel stores unknown flags: %v", e.Flags)
	}
}

// A change overwrites both flags that can be changed.
func TestSetEndpointFlagsOverwritesBackupAndFullmesh(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ctx := t.Context()
	if err := c.AddEndpoint(ctx, mptcp.Endpoint{ID: 1, Address: first,
		Flags: mptcp.FlagSubflow | mptcp.FlagFullmesh}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		sel        Selector
		flags, got mptcp.EndpointFlags
	}{
		{Selector{ID: 1}, mptcp.FlagBackup, mptcp.FlagSubflow | mptcp.FlagBackup},
		{Selector{Address: first}, mptcp.FlagFullmesh, mptcp.FlagSubflow | mptcp.FlagFullmesh},
		{Selector{ID: 1}, 0, mptcp.FlagSubflow},
	} {
		if err := c.SetEndpointFlags(ctx, tt.sel, tt.flags); err != nil {
			t.Fatalf("%v: %v", tt.sel, err)
		}
		if e, err := c.Endpoint(ctx, 1); err != nil || e.Flags != tt.got {
			t.Errorf("%v %v: %v, %v; want %v", tt.sel, tt.flags, e.Flags, err, tt.got)
		}
	}
}

// A selector with an id and an address: the address counts, as in the kernel.
func TestSelectorWithIDAndAddress(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ctx, other := t.Context(), netip.MustParseAddr("10.9.9.2")
	for _, e := range []mptcp.Endpoint{{ID: 1, Address: first, Flags: mptcp.FlagSubflow},
		{ID: 2, Address: other, Flags: mptcp.FlagSubflow}} {
		if err := c.AddEndpoint(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	sel := Selector{ID: 1, Address: other}
	if err := c.SetEndpointFlags(ctx, sel, mptcp.FlagBackup); err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Endpoints(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if changed := e.Flags.Has(mptcp.FlagBackup); changed != (e.Address == other) || changed != sel.Names(e) {
			t.Errorf("%v is now id %d %v: the selector was %v", e.Address, e.ID, e.Flags, sel)
		}
	}
}

// The kernel takes the deletion of id 0 for something else, and never refuses it.
func TestRemoveEndpointZeroIsRefused(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	if err := c.RemoveEndpoint(t.Context(), 0); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if err := c.CloseInitialSubflows(t.Context(), first); err != nil {
		t.Errorf("no connection matches: %v", err)
	}
	if err := c.CloseInitialSubflows(t.Context(), netip.Addr{}); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestLimitsOfTheKernel(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ctx := t.Context()
	before, err := c.Limits(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetLimits(ctx, LimitsUpdate{AddAddrAccepted: new(uint32(3))}); err != nil {
		t.Fatal(err)
	}
	want := mptcp.Limits{AddAddrAccepted: 3, Subflows: before.Subflows}
	if got, err := c.Limits(ctx); err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if err := c.SetLimits(ctx, LimitsUpdate{Subflows: new(uint32(5))}); err != nil {
		t.Fatal(err)
	}
	want.Subflows = 5
	err = c.SetLimits(ctx, LimitsUpdate{AddAddrAccepted: new(uint32(1)), Subflows: new(uint32(1000))})
	if !errors.Is(err, fs.ErrInvalid) || !strings.HasPrefix(err.Error(), "limits set: limit greater than maximum") {
		t.Errorf("over the maximum: %v", err)
	}
	if got, err := c.Limits(ctx); err != nil || got != want {
		t.Errorf("one bad value must change nothing: %v, %v; want %v", got, err, want)
	}
	if err := c.SetLimits(ctx, LimitsUpdate{}); err != nil {
		t.Errorf("an empty update: %v", err)
	}
}

func TestCommandsOfTheKernel(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	got, err := c.Commands(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for want := CommandAddEndpoint; want <= CommandGetLimits; want++ {
		if !slices.Contains(got, want) {
			t.Errorf("%v is missing in %v", want, got)
		}
	}
	f := c.Family() // which has them in the kernel's order
	slices.Sort(f.Commands)
	if f.ID < nlmsg.MinType || f.Version != 1 || !slices.Equal(f.Commands, got) {
		t.Errorf("family %+v", f)
	}
}

// keepCapabilities takes all capabilities but these from the calling thread, and
// from it alone.
func keepCapabilities(keep ...uint) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	for _, c := range keep {
		sets[c/32].Effective |= 1 << (c % 32)
		sets[c/32].Permitted |= 1 << (c % 32)
	}
	return unix.Capset(&header, &sets[0])
}

// Without CAP_NET_ADMIN one can read, and neither change nor listen.
func TestWithoutPrivilege(t *testing.T) {
	ns := labtest.MPTCP(t)
	ctx := t.Context()
	err := ns.Do(func() error {
		if err := keepCapabilities(); err != nil {
			return err
		}
		c, err := Dial(nil)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.Limits(ctx); err != nil {
			t.Errorf("limits: %v", err)
		}
		for _, err := range c.Endpoints(ctx) {
			t.Errorf("endpoints: %v", err)
		}
		_, listenErr := Listen(nil)
		assertRefusals(t, []refusal{
			{"add", c.AddEndpoint(ctx, mptcp.Endpoint{Address: first}), fs.ErrPermission, syscall.EPERM,
				"endpoint add 10.77.1.1: operation not permitted"},
			{"remove", c.RemoveEndpoint(ctx, 1), fs.ErrPermission, syscall.EPERM,
				"endpoint delete id 1: operation not permitted"},
			{
				"flush",
				c.FlushEndpoints(ctx),
				fs.ErrPermission,
				syscall.EPERM,
				"endpoint flush: operation not permitted",
			},
			{
				"limits",
				c.SetLimits(ctx, LimitsUpdate{}),
				fs.ErrPermission,
				syscall.EPERM,
				"limits set: operation not permitted",
			},
			{
				"listen",
				listenErr,
				fs.ErrPermission,
				syscall.EPERM,
				"subscribe to mptcp events: operation not permitted",
			},
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestClosedClient(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Limits(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
	if err := c.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestCanceledRequest(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.FlushEndpoints(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, err := c.Limits(t.Context()); err != nil {
		t.Errorf("the client is of no use after a canceled request: %v", err)
	}
}

// A client asks in the namespace in which it was opened, from any thread.
func TestClientStaysInItsNamespace(t *testing.T) {
	a, b := labtest.MPTCP(t), labtest.MPTCP(t)
	ca, cb := dial(t, a), dial(t, b)
	if err := ca.AddEndpoint(t.Context(), mptcp.Endpoint{Address: first}); err != nil {
		t.Fatal(err)
	}
	err := b.Do(func() error {
		if n := len(endpoints(t, ca)); n != 1 {
			t.Errorf("%d endpoints in the first namespace", n)
		}
		if n := len(endpoints(t, cb)); n != 0 {
			t.Errorf("%d endpoints in the second namespace", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
