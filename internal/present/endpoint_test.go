package present

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

func deviceOfTest(index int32) string {
	if index == 7 {
		return "bad\x1b[2J\"name"
	}
	return fmt.Sprintf("eth%d", index)
}

// endpoints has one of each kind, with a device whose name would act on a
// terminal.
func endpoints() []mptcp.Endpoint {
	return []mptcp.Endpoint{
		{
			ID:      5,
			Address: netip.MustParseAddr("10.0.0.1"),
			Port:    10100,
			Flags:   mptcp.FlagSignal | mptcp.FlagBackup,
			IfIndex: 1,
		},
		{ID: 99, Address: netip.MustParseAddr("fe80::1"), Flags: mptcp.KnownEndpointFlags | 0x40, IfIndex: 2},
		{ID: 255, Address: netip.MustParseAddr("::ffff:10.0.0.3"), IfIndex: 7},
		{ID: 1, Flags: 1 << 12},
	}
}

func TestEndpointText(t *testing.T) {
	for _, c := range []struct {
		format EndpointText
		want   string
	}{
		{EndpointText{}, "10.0.0.1 port 10100 id 5 signal backup dev eth1 \n" +
			"fe80::1 id 99 signal subflow backup fullmesh implicit laminar rawflags 40 dev eth2 \n" +
			"::ffff:10.0.0.3 id 255 dev bad\\x1b[2J\"name \n" +
			"id 1 rawflags 1000 \n"},
		{EndpointText{Colors: Colors(true), End: `\`}, "\x1b[1;35m10.0.0.1 \x1b[0mport 10100 id 5 signal backup dev " +
			"\x1b[1;36meth1 \x1b[0m\\" +
			"\x1b[1;94mfe80::1 \x1b[0mid 99 signal subflow backup fullmesh implicit laminar rawflags 40 dev " +
			"\x1b[1;36meth2 \x1b[0m\\" +
			"\x1b[1;94m::ffff:10.0.0.3 \x1b[0mid 255 dev \x1b[1;36mbad\\x1b[2J\"name \x1b[0m\\" +
			`id 1 rawflags 1000 \`},
	} {
		c.format.Device = deviceOfTest
		var b []byte
		for _, e := range endpoints() {
			b = c.format.Append(b, &e)
		}
		if diff := cmp.Diff(c.want, string(b)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestEndpointJSON(t *testing.T) {
	format := EndpointJSON{Device: deviceOfTest}
	want := `[{"address":"10.0.0.1","port":10100,"id":5,"signal":true,"backup":true,"dev":"eth1"},` +
		`{"address":"fe80::1","id":99,"signal":true,"subflow":true,"backup":true,"fullmesh":true,"implicit":true,"laminar":true,"rawflags":"40","dev":"eth2"},` +
		`{"address":"::ffff:10.0.0.3","id":255,"dev":"bad\u001b[2J\"name"},{"id":1,"rawflags":"1000"}]` + "\n"
	if diff := cmp.Diff(want, string(format.Append(nil, endpoints()))); diff != "" {
		t.Error(diff)
	}
	format.Pretty = true
	pretty := format.Append(nil, endpoints()[2:])
	if diff := cmp.Diff("[ {\n        \"address\": \"::ffff:10.0.0.3\",\n        \"id\": 255,\n        \"dev\": "+
		"\"bad\\u001b[2J\\\"name\"\n    },{\n        \"id\": 1,\n        \"rawflags\": \"1000\"\n    } ]\n", string(pretty)); diff != "" {
		t.Error(diff)
	}
	for _, b := range [][]byte{pretty, format.Append(nil, nil), (&EndpointJSON{}).Append(nil, nil)} {
		var list []map[string]any
		if err := json.Unmarshal(b, &list); err != nil {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestLimits(t *testing.T) {
	l := mptcp.Limits{AddAddrAccepted: 1, Subflows: 4294967295}
	for got, want := range map[string]string{
		string(AppendLimits(nil, l, "\n")):                            "add_addr_accepted 1 subflows 4294967295 \n",
		string(AppendLimits(nil, l, `\`)):                             `add_addr_accepted 1 subflows 4294967295 \`,
		string(AppendLimitsJSON(nil, []LimitsOf{{Limits: l}}, false)): `[{"add_addr_accepted":1,"subflows":4294967295}]` + "\n",
		string(AppendLimitsJSON(nil, []LimitsOf{{Limits: l}}, true)): "[ {\n        \"add_addr_accepted\": 1,\n    " +
			"    \"subflows\": 4294967295\n    } ]\n",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
