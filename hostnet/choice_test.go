package hostnet

import (
	"net/netip"
	"slices"
	"testing"
)

// A link with one other end needs no gateway; one with neighbours does, tunnel or not.
func TestOnLinkOfOneOtherEnd(t *testing.T) {
	n := Network{Links: []Link{
		{Index: 1, Name: "t0", Type: "none", Kind: "tun", Tunnel: true},
		{Index: 2, Name: "tap0", Type: "ether", Kind: "tun", Tunnel: true},
		{Index: 3, Name: "eth0", Type: "ether"},
	}}
	for index, want := range map[int]bool{1: true, 2: false, 3: false} {
		if got := n.OnLink(index, netip.MustParseAddr("192.0.2.1")); got != want {
			t.Errorf("link %d: %t", index, got)
		}
	}
}

// What a lookup leaves open is told by family, and only once.
func TestUnanswered(t *testing.T) {
	n := Network{Rules: []Rule{
		{Family: "inet", Mark: 2, Table: 100}, {Family: "inet", Mark: 2, Table: 101}, {Family: "inet6", Mark: 3, Table: 100},
		{Family: "inet", UIDs: &UIDRange{First: 7, Last: 8}, Table: 102}, {Family: "inet", Table: TableMain},
	}}
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for _, tt := range []struct {
		key  LookupRequest
		want []string
	}{
		{LookupRequest{Dst: four}, []string{"fwmark 0x2", "uidrange 7-8"}},
		{LookupRequest{Dst: six}, []string{"fwmark 0x3"}},
		{LookupRequest{Dst: four, Mark: 1}, []string{"uidrange 7-8"}},
		{LookupRequest{Dst: four, Mark: 1, HasUID: true}, nil},
	} {
		if got := n.Unanswered(tt.key); !slices.Equal(got, tt.want) {
			t.Errorf("%v: got %q, want %q", tt.key, got, tt.want)
		}
	}
}
