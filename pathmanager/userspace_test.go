package pathmanager

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"syscall"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
)

// userspaceConnection makes a connection whose path manager is in user space, and
// returns the client's and the server's token and the client's end.
func userspaceConnection(t *testing.T) (
	c *Client, s *stream, client, server mptcp.Token, local, remote netip.AddrPort,
) {
	t.Helper()
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	sysctl(t, ns, "pm_type", "1")
	c = dial(t, ns)
	fd, addr := mptcpListener(t, ns, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	remote = netip.AddrPortFrom(first, addr.Port())
	s = follow(t, listen(t, ns, nil))
	connect(t, ns, fd, remote).talk()
	for range 2 {
		e := s.find(mptcp.EventEstablished)
		if e.Side() == mptcp.SideServer {
			server = e.Token
		} else {
			client = e.Token
			local, _ = e.Local()
		}
	}
	if client == 0 || server == 0 {
		t.Fatalf("tokens %v and %v", client, server)
	}
	return c, s, client, server, local, remote
}

func TestUserspacePathManager(t *testing.T) {
	c, s, client, server, _, remote := userspaceConnection(t)
	ctx := t.Context()
	// The server announces, the client hears of it.
	if err := c.Announce(ctx, server, mptcp.Endpoint{ID: 5, Address: second, Flags: mptcp.FlagSignal}); err != nil {
		t.Fatal(err)
	}
	if e := s.find(mptcp.EventAnnounced); e.Token != client || e.RemoteID != 5 || e.Destination != second {
		t.Errorf("%+v", e)
	}
	if !withoutAddresses(t, c, server) {
		want := mptcp.Endpoint{ID: 5, Address: second, Flags: mptcp.FlagSignal}
		if got, err := c.Address(ctx, server, 5); err != nil || got != want {
			t.Errorf("address 5: %+v, %v", got, err)
		}
		var all []mptcp.Endpoint
		for e, err := range c.Addresses(ctx, server) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		if len(all) != 1 || all[0] != want {
			t.Errorf("addresses of the server: %+v", all)
		}
	}
	if err := c.RemoveAddress(ctx, server, 5); err != nil {
		t.Error(err)
	}
	if e := s.find(mptcp.EventRemoved); e.Token != client || e.RemoteID != 5 {
		t.Errorf("%+v", e)
	}
	// The client makes a subflow, changes its priority and ends it.
	endpoint := mptcp.Endpoint{ID: 9, Address: second}
	if err := c.CreateSubflow(ctx, client, endpoint, RemoteAddress{Addr: remote}); err != nil {
		t.Fatal(err)
	}
	var joined netip.AddrPort
	for range 2 {
		if e := s.find(mptcp.EventSubflowEstablished); e.Token == client {
			joined, _ = e.Local()
		}
	}
	if joined.Addr() != second {
		t.Fatalf("the subflow comes from %v", joined)
	}
	endpoint.Flags = mptcp.FlagBackup
	if err := c.SetSubflowFlags(ctx, client, endpoint, remote); err != nil {
		t.Error(err)
	}
	if e := s.find(mptcp.EventSubflowPriority); e.Token != server || e.Backup != 1 {
		t.Errorf("%+v", e)
	}
	if err := c.DestroySubflow(ctx, client, joined, remote); err != nil {
		t.Error(err)
	}
	s.find(mptcp.EventSubflowClosed)
	if err := c.DestroySubflow(ctx, client, joined, remote); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("once more: %v", err)
	}
}

// A port of the peer where nobody listens is no error of the command: the event
// tells.
func TestSubflowToNowhereFailsByEvent(t *testing.T) {
	c, s, client, _, _, _ := userspaceConnection(t)
	nowhere := netip.AddrPortFrom(second, 9)
	err := c.CreateSubflow(t.Context(), client, mptcp.Endpoint{ID: 3, Address: second},
		RemoteAddress{ID: 8, Addr: nowhere})
	if err != nil {
		t.Fatal(err)
	}
	e := s.find(mptcp.EventSubflowClosed)
	if remote, _ := e.Remote(); remote != nowhere || !errors.Is(e.Error, syscall.ECONNREFUSED) || e.RemoteID != 8 {
		t.Errorf("%+v", e)
	}
}

func TestRefusalsOfUserspaceCommands(t *testing.T) {
	c, _, client, _, local, remote := userspaceConnection(t)
	ctx := t.Context()
	name := "token " + client.String()
	pm := func(r request) error { return c.do(ctx, "pm", "", r, nil) }
	nobody := mptcp.Token(0)
	signal := mptcp.Endpoint{ID: 5, Address: second, Flags: mptcp.FlagSignal}
	noID, noFlag := signal, signal
	noID.ID, noFlag.Flags = 0, 0
	part := of(signal)
	six := netip.MustParseAddr("fd77::9")
	invalid := func(name string, err error, text string) refusal {
		return refusal{name, err, fs.ErrInvalid, syscall.EINVAL, text}
	}
	absent := func(name string, err error, errno syscall.Errno, text string) refusal {
		return refusal{name, err, fs.ErrNotExist, errno, text}
	}
	assertRefusals(t, []refusal{
		invalid(
			"announce, no ADDR",
			pm(request{command: CommandAnnounce, token: &client}),
			"pm: missing attribute addr",
		),
		invalid(
			"announce, no TOKEN",
			pm(request{command: CommandAnnounce, local: &part}),
			"pm: missing attribute token",
		),
		absent("announce, token", c.Announce(ctx, nobody, signal), syscall.EINVAL,
			"pm announce 10.77.2.1 token 00000000: invalid token"),
		invalid("announce, no id", c.Announce(ctx, client, noID), "pm announce 10.77.2.1 "+name+": invalid addr id"),
		invalid(
			"announce, no signal",
			c.Announce(ctx, client, noFlag),
			"pm announce 10.77.2.1 "+name+": invalid addr flags",
		),
		invalid("announce, no address",
			pm(request{command: CommandAnnounce, token: &client, local: &address{id: 5, flags: 1}}),
			"pm: missing family"),
		invalid("remove, no LOC_ID", pm(request{command: CommandRemoveAddress, token: &client}),
			"pm: missing attribute loc-id"),
		absent("remove, id", c.RemoveAddress(ctx, client, 77), syscall.EINVAL,
			"pm remove id 77 "+name+": address with id 77 not found"),
		absent("remove, token", c.RemoveAddress(ctx, nobody, 77), syscall.EINVAL,
			"pm remove id 77 token 00000000: invalid token"),
		invalid(
			"create, no ADDR",
			pm(request{command: CommandCreateSubflow, token: &client}),
			"pm: missing attribute addr",
		),
		invalid("create, no ADDR_REMOTE", pm(request{command: CommandCreateSubflow, token: &client, local: &part}),
			"pm: missing attribute addr-remote"),
		invalid(
			"create, families",
			c.CreateSubflow(ctx, client, noFlag, RemoteAddress{Addr: netip.AddrPortFrom(six, 1)}),
			"pm subflow-create 10.77.2.1 "+name+": families mismatch",
		),
		{
			"create, not local", c.CreateSubflow(ctx, client,
				mptcp.Endpoint{ID: 4, Address: netip.MustParseAddr("10.99.0.1")}, RemoteAddress{Addr: remote}),
			nil, syscall.EADDRNOTAVAIL, "pm subflow-create 10.99.0.1 " + name + ": connect error: -99",
		},
		invalid("destroy, local port", c.DestroySubflow(ctx, client, netip.AddrPortFrom(second, 0), remote),
			"pm subflow-destroy 10.77.2.1:0 "+name+": missing local port"),
		invalid("destroy, remote port", c.DestroySubflow(ctx, client, local, netip.AddrPortFrom(first, 0)),
			"pm subflow-destroy "+local.String()+" "+name+": missing remote port"),
		absent("destroy, unknown", c.DestroySubflow(ctx, client, netip.AddrPortFrom(second, 1), remote), syscall.ESRCH,
			"pm subflow-destroy 10.77.2.1:1 "+name+": subflow not found"),
		invalid("flags, no ADDR_REMOTE", pm(request{command: CommandSetFlags, token: &client, local: &part}),
			"pm: missing attribute addr-remote"),
		absent(
			"flags, unknown",
			c.SetSubflowFlags(ctx, client, mptcp.Endpoint{Address: second}, remote),
			syscall.EINVAL,
			"pm set-flags 10.77.2.1 "+name+": subflow not found",
		),
	})
	if !labtest.KernelBefore(t, 6, 12) { // 6.1 takes the flag, and makes the subflow
		assertRefusals(t, []refusal{
			invalid("create, signal", c.CreateSubflow(ctx, client, signal, RemoteAddress{Addr: remote}),
				"pm subflow-create 10.77.2.1 "+name+": invalid addr flags"),
		})
	}
	if withoutAddresses(t, c, client) {
		return
	}
	assertRefusals(t, []refusal{
		absent("addresses, token", firstError(c, nobody), syscall.EINVAL, "pm addresses token 00000000: invalid token"),
	})
	if _, err := c.Address(ctx, client, 99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("address 99: %v", err)
	}
}

// withoutAddresses reports whether the kernel does not tell the addresses of a
// connection. It answers with its endpoints then, and nobody must take those for them.
func withoutAddresses(t *testing.T, c *Client, token mptcp.Token) bool {
	t.Helper()
	if !labtest.KernelBefore(t, 6, 10) {
		return false
	}
	_, err := c.Address(t.Context(), token, 5)
	for _, err := range []error{err, firstError(c, token)} {
		if !errors.Is(err, mptcp.ErrNotSupported) {
			t.Errorf("addresses of %v: %v, want that this kernel does not tell them", token, err)
		}
	}
	return true
}

// firstError returns the error that ends the list of addresses.
func firstError(c *Client, t mptcp.Token) (last error) {
	for _, err := range c.Addresses(context.Background(), t) {
		last = err
	}
	return last
}

// The path manager of a connection is that of the time at which it was made.
func TestUserspaceCommandOnKernelConnection(t *testing.T) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	c := dial(t, ns)
	s := follow(t, listen(t, ns, nil))
	fd, addr := mptcpListener(t, ns, anywhere)
	connect(t, ns, fd, addr)
	token := s.find(mptcp.EventCreated).Token
	err := c.Announce(t.Context(), token, mptcp.Endpoint{ID: 5, Address: first, Flags: mptcp.FlagSignal})
	assertRefusals(t, []refusal{{
		"announce", err, fs.ErrInvalid, syscall.EINVAL,
		"pm announce 10.77.1.1 token " + token.String() + ": userspace PM not selected",
	}})
}
