package bundle

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/hostnet"
	"mptcpctl/internal/firewall"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"

	"pgregory.net/rapid"
)

// Every text that facts can hold has a meaning: a new one is hidden until somebody
// says what it is.
func TestTextsOfFactsHaveMeanings(t *testing.T) {
	hidden := []string{
		"Facts.Focus", "Firewall.Legacy", "Chain.Family", "Chain.Table", "Chain.Name", "Chain.Hook", "Chain.Type", "Chain.Devices", "Set.Family", "Set.Table", "Set.Name", "Expression.Name",
	}
	seen := map[string]bool{}
	var walk func(typ reflect.Type, place string, above []reflect.Type)
	walk = func(typ reflect.Type, place string, above []reflect.Type) {
		if slices.Contains(above, typ) && typ.Kind() == reflect.Struct {
			return
		}
		above = append(above, typ)
		switch typ.Kind() {
		case reflect.String:
			seen[place] = true
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(typ.Elem(), place, above)
		case reflect.Map:
			walk(typ.Key(), place, above)
			walk(typ.Elem(), place, above)
		case reflect.Struct:
			for i := range typ.NumField() {
				if f := typ.Field(i); f.IsExported() {
					walk(f.Type, typ.Name()+"."+f.Name, above)
				}
			}
		}
	}
	walk(reflect.TypeFor[doctor.Facts](), "", nil)
	for place := range seen {
		if meanings()[place] == unknownText && !slices.Contains(hidden, place) {
			t.Errorf("%s has no meaning: it is hidden altogether", place)
		}
	}
	for place := range meanings() {
		if !seen[place] {
			t.Errorf("facts have no text %s", place)
		}
	}
}

// somewhere draws an address that is nothing special.
func somewhere(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "v6") {
		b := [16]byte{0x24, 0x05}
		copy(b[2:], rapid.SliceOfN(rapid.Byte(), 14, 14).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "link-local") {
			copy(b[:8], []byte{0xfe, 0x80, 0, 0, 0, 0, 0, 0})
		}
		return netip.AddrFrom16(b)
	}
	first := rapid.SampledFrom([][]byte{{10}, {172, 16}, {172, 20}, {172, 40}, {192, 168}, {192, 160}, {100, 64}, {100, 0}, {81}, {169, 254}}).
		Draw(t, "net")
	b := [4]byte{0, 77, 7, 9}
	copy(b[len(b)-3:], rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "bytes"))
	copy(b[:], first)
	return netip.AddrFrom4(b)
}

// common is how many bits two addresses begin with alike.
func common(a, b netip.Addr) int {
	for n := 0; n < a.BitLen(); n++ {
		if p, _ := a.Prefix(n + 1); !p.Contains(b) {
			return n
		}
	}
	return a.BitLen()
}

// The same address becomes the same, different ones different ones, of the same kind
// and as near to each other.
func TestAnonymisedAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAnonymiser(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		addrs := rapid.SliceOfN(rapid.Custom(somewhere), 2, 8).Draw(t, "addresses")
		near := addrs[0].As16() // one in the same subnet
		near[15] ^= byte(rapid.IntRange(1, 255).Draw(t, "host"))
		addrs = append(addrs, netip.AddrFrom16(near).Unmap())
		for _, x := range addrs {
			hx := a.addr(x)
			if hx != a.addr(x) || hx.Is4() != x.Is4() || hx.IsPrivate() != x.IsPrivate() ||
				hx.IsLinkLocalUnicast() != x.IsLinkLocalUnicast() ||
				hx.IsMulticast() != x.IsMulticast() {
				t.Fatalf("%v becomes %v", x, hx)
			}
			if mapped := a.addr(netip.AddrFrom16(x.As16())); mapped.Unmap() != hx {
				t.Fatalf("v4-mapped %v becomes %v and %v", x, mapped, hx)
			}
			for _, y := range addrs {
				if x.Is4() == y.Is4() && common(x, y) != common(hx, a.addr(y)) {
					t.Fatalf(
						"%v and %v have %d bits in common, %v and %v %d",
						x,
						y,
						common(x, y),
						hx,
						a.addr(y),
						common(hx, a.addr(y)),
					)
				}
			}
			bits := rapid.IntRange(0, x.BitLen()).Draw(t, "bits")
			p, _ := x.Prefix(bits)
			if hp := a.prefix(p); hp != hp.Masked() || hp.Bits() != bits || bits > 0 && !hp.Contains(hx) {
				t.Fatalf("%v in %v becomes %v in %v", x, p, hx, hp)
			}
		}
	})
}

// The words of a text that may be addresses are those that the regular expression
// finds.
func TestAnonymisedWords(t *testing.T) {
	addressLike := regexp.MustCompile(`[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*(%[^\s/\]]+)?(/[0-9]+)?`)
	rapid.Check(t, func(t *rapid.T) {
		parts := []string{
			"192.0.2.1",
			"2001:db8::1",
			"fe80::1",
			"%",
			"eth0",
			"/",
			"/24",
			"]",
			" ",
			"\n",
			":",
			".",
			"9",
			"be",
			"é",
			"\xff",
			"x",
			"443",
		}
		s := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 12).Draw(t, "parts"), "")
		a := newAnonymiser(make([]byte, 32))
		want := addressLike.ReplaceAllStringFunc(s, func(word string) string {
			var b strings.Builder
			a.addresses(&b, word)
			return b.String()
		})
		if got := a.text(s); got != want {
			t.Fatalf("%q becomes %q, want %q", s, got, want)
		}
	})
}

// factsOfSecrets draws facts with a secret in each place that can hold one.
func factsOfSecrets(t *rapid.T) (f doctor.Facts, addrs []netip.Addr) {
	addr := func() netip.Addr {
		a := somewhere(t)
		addrs = append(addrs, a)
		return a
	}
	flow := func() netip.AddrPort { return netip.AddrPortFrom(addr(), rapid.Uint16().Draw(t, "port")) }
	n := 0
	secret := func() string {
		n++
		return fmt.Sprintf("secret%d", n)
	}
	processes := func() []mptcp.Process { return []mptcp.Process{{PID: 5, Name: secret()}} }
	dev := secret()
	where := netip.PrefixFrom(addr(), 24)
	f = doctor.Facts{
		Time: time.Unix(1700000000, 0).
			UTC(),
		Netns:    secret(),
		Focus:    "process " + secret() + " and dst " + addr().String(),
		Firewall: &firewall.Firewall{Chains: []firewall.Chain{{Name: secret()}}},
		Kernel: doctor.Kernel{
			Release: "6.18.4-" + secret(),
		}, Endpoints: []mptcp.Endpoint{{ID: 1, Address: addr(), Flags: mptcp.FlagSubflow}},
		Connections: []mptcp.Connection{{
			Token: 7, Netns: secret(), Local: flow(), Remote: flow(), Processes: processes(),
			Subflows: []mptcp.Subflow{{Local: flow(), Remote: flow(), Device: dev}},
		}},
		Listeners: []doctor.Listener{
			{Local: flow(), Processes: processes()},
		}, PlainListeners: []doctor.Listener{{Local: flow(), Processes: processes()}},
		PlainFlows: []doctor.Flow{
			{Local: flow(), Remote: flow(), Processes: processes()},
		}, Blackholed: []doctor.Flow{{Local: flow(), Remote: flow()}},
		Network: hostnet.Network{
			Links: []hostnet.Link{
				{Index: 1, Name: dev},
			}, Addresses: []hostnet.Address{{Addr: addr(), Prefix: where.Masked(), Peer: addr(), Label: dev + ":1"}},
			Routes: []hostnet.Route{
				{
					Dst:      netip.PrefixFrom(addr(), 20),
					Gateway:  addr(),
					Source:   addr(),
					NextHops: []hostnet.NextHop{{Gateway: addr()}},
				},
			},
			Rules: []hostnet.Rule{
				{Src: netip.PrefixFrom(addr(), 32), Dst: netip.PrefixFrom(addr(), 25), IIF: secret(), OIF: secret()},
			},
		},
		Lookups: []doctor.Lookup{{
			Request: hostnet.LookupRequest{Dst: addr(), Src: addr()}, Route: hostnet.Route{Dst: where, Source: addr()},
			Error: rapid.SampledFrom([]string{"no route to %v", "to:%v: refused", "dst=[%v]:80.", "(%v/24)"}).
				Draw(t, "form"),
		}},
		Events: []mptcp.Event{
			{
				Type:        mptcp.EventAnnounced,
				Netns:       secret(),
				Source:      addr(),
				Destination: addr(),
				Fields:      mptcp.FieldToken,
			},
		},
		Managers: []mptcp.Process{{PID: 9, Name: "mptcpd"}},
		Elsewhere: []doctor.Namespace{
			{Name: secret(), Hint: secret(), Connections: 1},
		}, Probes: []doctor.Probe{{Local: flow(), Remote: flow()}},
	}
	f.Lookups[0].Error = fmt.Sprintf(f.Lookups[0].Error, addr())
	f.Unseen = []doctor.Gap{{What: "the sockets of " + addr().String(), Why: "to " + addr().String() + ": refused"}}
	return f, addrs
}

func TestAnonymisedFacts(t *testing.T) { rapid.Check(t, nothingIsLeft) }

func FuzzAnonymisedFacts(f *testing.F) { f.Fuzz(rapid.MakeFuzz(nothingIsLeft)) }

// nothingIsLeft checks that nothing that was in the facts is left but their shape.
func nothingIsLeft(t *rapid.T) {
	f, addrs := factsOfSecrets(t)
	a := newAnonymiser(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
	hidden, err := a.facts(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	if i := strings.Index(string(text), "secret"); i >= 0 {
		t.Fatalf("a name is left: %s", text[max(0, i-60):min(len(text), i+30)])
	}
	aliases := map[netip.Addr]bool{}
	for _, addr := range addrs {
		aliases[a.addr(addr)] = true
		for _, bits := range []int{20, 24, 25} {
			p, _ := addr.Prefix(bits)
			aliases[a.prefix(p).Addr()] = true
		}
	}
	for _, addr := range addrs {
		if aliases[addr] {
			continue // it is what stands for another one
		}
		if found := regexp.MustCompile(`(^|[^0-9a-f:.])` + regexp.QuoteMeta(addr.String()) + `([^0-9a-f.]|$)`).FindString(string(text)); found != "" {
			t.Fatalf("%s is left: %q in %s", addr, found, text)
		}
	}
	if hidden.Managers[0].Name != "mptcpd" || hidden.Kernel.Release != "6.18.4" || hidden.Focus == "" {
		t.Fatalf("managers %v, release %q, focus %q", hidden.Managers, hidden.Kernel.Release, hidden.Focus)
	}
	if got, want := shapeOf(t, hidden), shapeOf(t, f); got != want {
		t.Fatalf("shape\n%s\nwant\n%s", got, want)
	}
}

// shapeOf returns the facts as JSON without the texts.
func shapeOf(t *rapid.T, f doctor.Facts) string {
	f.Firewall = nil
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`"(:?)[^"]*"`).ReplaceAllString(string(text), `""`)
}

// linesOf returns what a report says, in an order of its own, with other names.
func linesOf(t *testing.T, r doctor.Report, rename func(string) string) []string {
	t.Helper()
	lines := []string{r.Verdict.String()}
	add := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(
			lines,
			regexp.MustCompile(`(kernel [0-9.]+)-[^: "]*`).ReplaceAllString(rename(string(text)), "$1"),
		)
	}
	for i := range r.Findings {
		add(r.Findings[i])
	}
	for i := range r.Connections {
		add(r.Connections[i])
	}
	sort.Strings(lines)
	return lines
}

// rename puts the names that the anonymiser has given in the place of others.
func (a *anonymiser) rename(s string) string {
	s = regexp.MustCompile(`[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]+(/[0-9]+)?`).ReplaceAllStringFunc(s, a.text)
	for id, alias := range a.names {
		_, name, _ := strings.Cut(id, " ")
		s = regexp.MustCompile(`\b`+regexp.QuoteMeta(name)+`\b`).ReplaceAllString(s, alias)
	}
	return s
}

// sameDiagnosis checks that doctor says of anonymised facts what it says of the facts.
func sameDiagnosis(t *testing.T, f doctor.Facts) {
	t.Helper()
	a := newAnonymiser([]byte("key"))
	hidden, err := a.facts(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Firewall = nil // it stays behind, and what it tells with it
	// So does what a distribution adds to the kernel's numbers.
	f.Kernel.Release = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*`).FindString(f.Kernel.Release)
	want := linesOf(t, doctor.Diagnose(f), a.rename)
	got := linesOf(t, doctor.Diagnose(hidden), func(s string) string { return s })
	if !slices.Equal(got, want) {
		t.Errorf("anonymised:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// All recordings of the lab are judged as they are without their names.
func TestAnonymisedRecordings(t *testing.T) {
	names, err := filepath.Glob("../source/recording/testdata/*/*.pcapng*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	for _, name := range names {
		recording, err := recording.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, view := range recording.States() {
			facts, err := view.Facts(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			sameDiagnosis(t, facts)
		}
	}
}
