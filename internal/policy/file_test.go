package policy

import (
	"net/netip"
	"strings"
	"testing"

	"mptcpctl/mptcp"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	p, err := Parse([]byte(`
[limits]
subflows = 4

[[endpoint]]
address = "192.0.2.3"
dev = "wlp1s0"
id = 3
flags = ["subflow", "backup"]

[[endpoint]]
link = "wwan*"
within = "2001:db8::1/32"
family = "inet6"
bind = false
flags = ["signal"]
port = 4433
`))
	if err != nil {
		t.Fatal(err)
	}
	want := &Policy{Subflows: new(uint32(4)), Rules: []Rule{
		{
			Address: netip.MustParseAddr("192.0.2.3"),
			Device:  "wlp1s0",
			ID:      3,
			Flags:   mptcp.FlagSubflow | mptcp.FlagBackup,
		},
		{
			Link:   "wwan*",
			Within: netip.MustParsePrefix("2001:db8::/32"),
			Family: mptcp.FamilyINET6,
			Flags:  mptcp.FlagSignal,
			Port:   4433,
		},
	}}
	if diff := cmp.Diff(want, p, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"[limits]\nsubflow = 3":                                     "key limits.subflow: unknown",
		"[limits]\nsubflows = -1":                                   "limits: subflows: -1 is no limit",
		"[limits\n":                                                 "line 1: expected",
		"[limits]\nsubflows = \"many\"":                             "limits: subflows: want a number",
		"limits = 3":                                                "limits: want a table: [limits] with subflows = N",
		"endpoint = 3":                                              "endpoint: want a table for each: [[endpoint]]",
		"endpoint = [3]":                                            "endpoint: want a table for each",
		"[[endpoint]]\nflags = \"subflow\"":                         "endpoint 1: flags: want a list",
		"[[endpoint]]\nflags = [1]":                                 "endpoint 1: flags: want a list",
		"[[endpoint]]\naddress = 10":                                "endpoint 1: address: want text in quotes",
		"[[endpoint]]\nid = \"1\"":                                  "endpoint 1: id: want a number",
		"[[endpoint]]\nbind = 1":                                    "endpoint 1: bind: want true or false",
		endpoint(`address = "x"`, "subflow"):                        "endpoint 1: address: ",
		endpoint(`address = "fe80::1%lo"`, "signal"):                "link-local",
		endpoint(`address = "0.0.0.0"`, "signal"):                   "not the address of a host",
		endpoint(`address = "10.0.0.1"`):                            "only gives its address an id",
		endpoint(`address = "10.0.0.1"`, "fast"):                    `"fast" is no flag: want signal, subflow`,
		endpoint(`address = "10.0.0.1"`, "implicit"):                "the kernel's own",
		endpoint(`address = "10.0.0.1"`, "signal", "fullmesh"):      "exclude each other",
		endpoint("address = \"10.0.0.1\"\nport = 80", "subflow"):    "a port goes with signal",
		endpoint("address = \"10.0.0.1\"\nport = 65536", "signal"):  "65536 is no port",
		endpoint("address = \"10.0.0.1\"\nid = 256", "signal"):      "256 is not from",
		endpoint("address = \"10.0.0.1\"\nlink = \"e*\"", "signal"): "without an address of their own",
		endpoint(`dev = "lo"`, "signal"):                            "goes with address",
		endpoint("", "signal"):                                      "want address, or link, or within",
		endpoint(`link = "["`, "signal"):                            "is no pattern",
		endpoint(`within = "10.0.0.0"`, "signal"):                   "within",
		endpoint("link = \"*\"\nid = 1", "signal"):                  "may make several",
		endpoint("link = \"*\"\nfamily = \"ipx\"", "signal"):        "family",
		endpoint(`address = "10.0.0.1"`, "signal") + endpoint(`address = "::ffff:10.0.0.1"`, "signal"):              "endpoint 2: ::ffff:10.0.0.1 is that of endpoint 1",
		endpoint("address = \"10.0.0.1\"\nid = 1", "signal") + endpoint("address = \"10.0.0.2\"\nid = 1", "signal"): "endpoint 2: id 1 is that of endpoint 1",
	} {
		if p, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want %q", text, p, err, want)
		}
	}
}

// endpoint returns the text of one rule.
func endpoint(keys string, flags ...string) string {
	text := "[[endpoint]]\n" + keys + "\n"
	if len(flags) > 0 {
		text += `flags = ["` + strings.Join(flags, `", "`) + "\"]\n"
	}
	return text
}

// FuzzParse checks that what is accepted can be carried out: what a policy asks for
// on a host, exported and read again, asks for the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(endpoint(`address = "192.0.2.3"`, "subflow")), "eth0")
	f.Add([]byte("[limits]\nsubflows = 8\n"+endpoint(`link = "e*"`, "subflow", "backup")), "eth\u0000\"0")
	f.Add([]byte(endpoint("address = \"::1\"\nport = 80\ndev = \"eth0\"", "signal")), "eth0")
	f.Fuzz(func(t *testing.T, text []byte, link string) {
		p, err := Parse(text)
		if err != nil {
			if p != nil && err == nil {
				t.Fatal("both")
			}
			return
		}
		if strings.ToValidUTF8(link, "") != link || link == "" {
			return // names of links that TOML cannot hold
		}
		host := &Host{Links: map[string]int32{link: 7}, Addresses: []Address{
			{Addr: netip.MustParseAddr("192.0.2.3"), Link: link, IfIndex: 7, Lasting: true, Present: true},
			{Addr: netip.MustParseAddr("2001:db8::3"), Link: link, IfIndex: 7, Lasting: true, Present: true},
		}}
		desired, _ := p.Desired(host)
		for i := range desired {
			desired[i].ID = mptcp.AddressID(i + 1)
		}
		present := Present{Endpoints: desired}
		if p.Subflows != nil {
			present.Limits.Subflows = *p.Subflows
		}
		if len(desired) > 200 {
			return
		}
		again, err := Parse(Export(present, func(int32) string { return link }))
		if err != nil {
			t.Fatalf("the export is refused: %v\n%s", err, Export(present, func(int32) string { return link }))
		}
		if plan := again.Plan(mustDesire(again, host), present, &State{Endpoints: desired}, true); !plan.Empty() {
			t.Errorf("the export asks for something else: %+v", plan)
		}
	})
}

func mustDesire(p *Policy, h *Host) []mptcp.Endpoint {
	desired, _ := p.Desired(h)
	return desired
}
