package mptcp_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

func TestEndpointFlags(t *testing.T) {
	for _, test := range []struct {
		flags mptcp.EndpointFlags
		want  string
	}{
		{0, ""},
		{mptcp.FlagBackup | mptcp.FlagSignal, "signal backup"},
		{0x3f, "signal subflow backup fullmesh implicit laminar"},
		{0x40, "rawflags 0x40"},
		{mptcp.FlagSubflow | 0xc0, "subflow rawflags 0xc0"},
	} {
		if got := test.flags.String(); got != test.want {
			t.Errorf("%#x prints %q, want %q", uint32(test.flags), got, test.want)
		}
		var back mptcp.EndpointFlags
		for _, name := range test.flags.Names() {
			flag, ok := mptcp.ParseEndpointFlag(name)
			if !ok {
				t.Errorf("ParseEndpointFlag(%q): unknown", name)
			}
			back |= flag
		}
		if back|test.flags.Unknown() != test.flags {
			t.Errorf("names of %#x give back %#x", uint32(test.flags), uint32(back))
		}
	}
	if _, ok := mptcp.ParseEndpointFlag("sig"); ok {
		t.Error("flags are whole words, as in iproute2")
	}
}

func TestUnmap(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.1]:80")
	if got := mptcp.Unmap(mapped); got != netip.MustParseAddrPort("192.0.2.1:80") {
		t.Errorf("Unmap(%v) = %v", mapped, got)
	}
	for _, same := range []string{"192.0.2.1:80", "[2001:db8::1]:80"} {
		if a := netip.MustParseAddrPort(same); mptcp.Unmap(a) != a {
			t.Errorf("Unmap(%v) = %v", a, mptcp.Unmap(a))
		}
	}
}

// The presence of server_side says nothing: kernels up to 6.17 send 0 or 1 with
// every connection, newer ones send it only as 1, older than 5.19 never.
func TestEventSide(t *testing.T) {
	for _, test := range []struct {
		name  string
		event mptcp.Event
		want  mptcp.Side
	}{
		{"6.18 server", mptcp.Event{Fields: mptcp.FieldServerSide | mptcp.FieldFlags, ServerSide: 1, Flags: 2}, mptcp.SideServer},
		{"6.1 server", mptcp.Event{Fields: mptcp.FieldServerSide, ServerSide: 1}, mptcp.SideServer},
		{"6.1 client", mptcp.Event{Fields: mptcp.FieldServerSide}, mptcp.SideClient},
		{"flag alone", mptcp.Event{Fields: mptcp.FieldFlags, Flags: 2}, mptcp.SideServer},
		{"nothing", mptcp.Event{}, mptcp.SideUnknown},
		{"other flag", mptcp.Event{Fields: mptcp.FieldFlags, Flags: 1}, mptcp.SideUnknown},
	} {
		if got := test.event.Side(); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestEventNames(t *testing.T) {
	for _, e := range mptcp.EventTypes() {
		back, ok := mptcp.ParseEventType(e.String())
		if !ok || back != e {
			t.Errorf("ParseEventType(%q) = %v, %v", e, back, ok)
		}
	}
	if got := mptcp.EventType(17).String(); got != "UNKNOWN 17" {
		t.Errorf("event 17 prints %q", got)
	}
}

func TestErrno(t *testing.T) {
	e := mptcp.Errno(syscall.ECONNREFUSED)
	if e.Name() != "ECONNREFUSED" || !errors.Is(e, syscall.ECONNREFUSED) {
		t.Errorf("errno 111 is %q", e.Name())
	}
	if got := mptcp.Errno(250).Name(); got != "errno 250" {
		t.Errorf("errno 250 is %q", got)
	}
}

func TestConnectionJSON(t *testing.T) {
	c := mptcp.Connection{
		Token: 0x12, Family: mptcp.FamilyINET, Side: mptcp.SideClient, State: mptcp.StateEstablished,
		Local:  netip.MustParseAddrPort("192.0.2.2:4000"),
		Remote: netip.MustParseAddrPort("192.0.2.1:443"),
		Subflows: []mptcp.Subflow{{
			Local:  netip.MustParseAddrPort("[2001:db8::2]:4001"),
			Remote: netip.MustParseAddrPort("[2001:db8::1]:443"),
			State:  mptcp.SubflowPending, TCP: mptcp.StateSynSent, Share: 0.5,
		}},
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back mptcp.Connection
	if err := json.Unmarshal(encoded, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, back, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("JSON does not come back (-want +got):\n%s", diff)
	}
	for _, key := range []string{`"token":"00000012"`, `"side":"client"`, `"state":"established"`, `"local":"[2001:db8::2]:4001"`} {
		if !bytes.Contains(encoded, []byte(key)) {
			t.Errorf("%s lacks %s", encoded, key)
		}
	}
}

func TestStatesHaveNames(t *testing.T) {
	for s := mptcp.StateEstablished; s <= mptcp.StateClosing; s++ {
		if back, ok := mptcp.ParseSocketState(s.String()); !ok || back != s {
			t.Errorf("state %d: %q comes back as %d", s, s, back)
		}
	}
}

func TestSubflowFrom(t *testing.T) {
	at := netip.MustParseAddrPort
	c := mptcp.Connection{Subflows: []mptcp.Subflow{
		{Local: at("192.0.2.1:1"), State: mptcp.SubflowEstablished, Initial: true},
		{Local: at("192.0.2.2:2"), State: mptcp.SubflowClosed},
		{Local: at("192.0.2.2:3"), State: mptcp.SubflowPending},
		{Local: at("192.0.2.2:4"), State: mptcp.SubflowSilent},
		{Local: at("[fe80::1%eth0]:5"), State: mptcp.SubflowClosing},
		{Local: at("192.0.2.3:6"), State: mptcp.SubflowClosed},
	}}
	for addr, port := range map[string]uint16{
		"192.0.2.1": 1, "::ffff:192.0.2.1": 1, "192.0.2.2": 4, "fe80::1": 5, "192.0.2.3": 0, "192.0.2.4": 0,
	} {
		got := uint16(0)
		if s := c.SubflowFrom(netip.MustParseAddr(addr)); s != nil {
			got = s.Local.Port()
		}
		if got != port {
			t.Errorf("from %s: port %d, want %d", addr, got, port)
		}
	}
	if up := c.SubflowsUp(); up != 2 {
		t.Errorf("%d subflows up, want 2", up)
	}
}
