package pathmanager

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"slices"
	"testing"
	"unsafe"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// Up to Linux 6.17 the attribute server_side is always there, as 0 or 1; from 6.18
// on it is there only as 1, and the flags say the same; before 5.19 there is
// neither.
func TestSideIsNotThePresenceOfServerSide(t *testing.T) {
	const side, flags = mptcp.FieldServerSide, mptcp.FieldFlags
	for _, tt := range []struct {
		name string
		e    mptcp.Event
		want mptcp.Side
	}{
		{"6.12 client", mptcp.Event{Fields: side}, mptcp.SideClient},
		{"6.12 server", mptcp.Event{Fields: side, ServerSide: 1}, mptcp.SideServer},
		{"6.17 client, C flag", mptcp.Event{Fields: side | flags, Flags: mptcp.EventFlagDenyJoinID0}, mptcp.SideClient},
		{"6.18 server", mptcp.Event{Fields: side | flags, ServerSide: 1, Flags: mptcp.EventFlagServerSide}, mptcp.SideServer},
		{"flags alone", mptcp.Event{Fields: flags, Flags: mptcp.EventFlagServerSide}, mptcp.SideServer},
		{"neither", mptcp.Event{}, mptcp.SideUnknown},
	} {
		tt.e.Type = mptcp.EventCreated
		var got mptcp.Event
		if err := DecodeEvent(encodeEvent(&tt.e), &got); err != nil || got.Side() != tt.want {
			t.Errorf("%s: %v, %v; want %v", tt.name, got.Side(), err, tt.want)
		}
	}
}

// The deletion of id 0 with an address closes initial subflows, and no endpoint
// goes.
func TestCloseInitialSubflowsKeepsEndpoints(t *testing.T) {
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first, second)
	c := dial(t, ns)
	for _, e := range []mptcp.Endpoint{{ID: 3, Address: first}, {ID: 4, Address: second, Flags: mptcp.FlagSubflow}} {
		if err := c.AddEndpoint(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	fd, addr := mptcpListener(t, ns, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	s := follow(t, listen(t, ns, nil))
	p := connect(t, ns, fd, netip.AddrPortFrom(first, addr.Port()))
	p.talk()
	s.find(mptcp.EventSubflowEstablished)
	s.find(mptcp.EventSubflowEstablished)
	if err := c.CloseInitialSubflows(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if e := s.find(mptcp.EventSubflowClosed); e.LocalID != 0 || e.RemoteID != 0 || e.Source != first {
		t.Errorf("%+v", e)
	}
	if got := endpoints(t, c); len(got) != 2 {
		t.Errorf("endpoints %v", got)
	}
}

// The numbers of family and group are given out at boot.
func TestFamilyAndGroupAreResolvedByName(t *testing.T) {
	ns := labtest.MPTCP(t)
	f := listen(t, ns, nil).Family()
	_, attrs, err := genlPayload(f.Raw)
	if err != nil {
		t.Fatal(err)
	}
	named := false
	err = nlmsg.EachAttribute(attrs, func(a nlmsg.Attribute) error {
		named = named || a.Type == ctrlAttrName && a.Text() == uapi.PMFamily
		return nil
	})
	if err != nil || !named || f.Events == 0 || f.Version != uapi.PMVersion {
		t.Errorf("family %+v, named %v, %v", f, named, err)
	}
}

// Events come in the order in which they happened.
func TestEventsKeepTheirOrder(t *testing.T) { eachEngine(t, testEventsKeepTheirOrder) }

func testEventsKeepTheirOrder(t *testing.T, engine Engine) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	addAddresses(t, ns, first)
	s := follow(t, listen(t, ns, &ListenConfig{Engine: engine, slots: 7}))
	var want []uint16
	for range 200 {
		fd, addr := mptcpListener(t, ns, anywhere)
		want = append(want, addr.Port(), addr.Port())
		_ = unix.Shutdown(fd, unix.SHUT_RDWR)
	}
	for i, port := range want {
		typ := mptcp.EventListenerCreated
		if i%2 == 1 {
			typ = mptcp.EventListenerClosed
		}
		if e := s.next(); e.Type != typ || e.Sport != port {
			t.Fatalf("event %d is %v of port %d, want %v of %d", i, e.Type, e.Sport, typ, port)
		}
	}
}

// Nobody but the kernel answers a request, even if it knows the sequence number.
func TestForgedAnswersAreIgnored(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	self, err := unix.Getsockname(c.conn.fd)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.conn.disconnect(); err != nil { // otherwise the kernel refuses the forger
		t.Fatal(err)
	}
	forged := ack(nlmsg.TypeError, 0, 0, nil)
	nlmsg.SetSequence(forged, c.conn.seq+1)
	inside(t, ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, forged, 0, self)
	})
	if err := c.RemoveEndpoint(t.Context(), 99); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a forged success was believed: %v", err)
	}
}

// flood fills the receive buffer of the client's socket with messages of another process,
// and returns how many fit.
func flood(t *testing.T, ns *lab.Namespace, c *Client) (sent int) {
	t.Helper()
	self, err := unix.Getsockname(c.conn.fd)
	if err != nil {
		t.Fatal(err)
	}
	inside(t, ns, func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for size := 9000; size >= nlmsg.HeaderSize; { // the small ones take what room is left
			switch err := unix.Sendto(fd, make([]byte, size), unix.MSG_DONTWAIT, self); err {
			case nil:
				sent++
			case unix.EAGAIN:
				size /= 3
			case unix.ECONNREFUSED:
				return nil
			default:
				return err
			}
		}
		return nil
	})
	return sent
}

// Root of a container can send to the sockets that are opened in its namespace. It cannot
// keep the kernel's answers from them.
func TestFloodOfForgedAnswers(t *testing.T) {
	ns := labtest.MPTCP(t)
	c := dial(t, ns)
	ask := func() {
		t.Helper()
		if _, err := c.Limits(t.Context()); err != nil {
			t.Error(err)
		}
		for _, err := range c.Endpoints(t.Context()) {
			t.Error(err)
		}
		if err := c.RemoveEndpoint(t.Context(), 99); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	if n := flood(t, ns, c); n != 0 {
		t.Errorf("%d forged messages reached the client", n)
	}
	ask()
	// What was sent before the socket was connected is there all the same.
	if err := c.conn.disconnect(); err != nil {
		t.Fatal(err)
	}
	if n := flood(t, ns, c); n == 0 {
		t.Error("nothing was sent: the test needs a full buffer")
	}
	ask()
}

// The rest of an answer that was given up does not answer the next request.
func TestStaleAnswersAreSkipped(t *testing.T) {
	c := &conn{fd: -1, seq: 8}
	stale, fresh := ack(nlmsg.TypeError, 0, 0, nil), ack(nlmsg.TypeError, 0, unix.EPERM, nil)
	nlmsg.SetSequence(stale, 7)
	nlmsg.SetSequence(fresh, 8)
	visited := 0
	visit := func([]byte) { visited++ }
	if done, err := c.take(stale, visit); done || err != nil {
		t.Errorf("stale: %v %v", done, err)
	}
	if done, err := c.take(append(stale, fresh...), visit); !done || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("fresh: %v %v", done, err)
	}
	if _, err := c.take(stale[:9], visit); err == nil {
		t.Error("half a message is none")
	}
	if visited != 0 {
		t.Errorf("%d visits", visited)
	}
}

// A control message is read by its own length: number 0 is another namespace, and
// without one it is the own.
func TestParseControl(t *testing.T) {
	build := func(typ int32, value uint32) []byte {
		b := make([]byte, unix.CmsgSpace(4))
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		h.SetLen(unix.CmsgLen(4))
		h.Level, h.Type = uapi.SOL_NETLINK, typ
		binary.NativeEndian.PutUint32(b[unix.CmsgLen(0):], value)
		return b
	}
	number, to := build(uapi.NetlinkListenAllNSID, 0), build(uapi.NetlinkPktinfo, 9)
	for _, tt := range []struct {
		name      string
		b         []byte
		namespace int32
		group     uint32
	}{
		{"none", nil, OwnNamespace, 0},
		{"number", number, 0, 0},
		{"both", append(slices.Clone(to), number...), 0, 9},
		{"cut short", number[:unix.CmsgLen(0)+2], OwnNamespace, 0},
	} {
		if ns, g := parseControl(tt.b); ns != tt.namespace || g != tt.group {
			t.Errorf("%s: namespace %d, group %d", tt.name, ns, g)
		}
	}
}
