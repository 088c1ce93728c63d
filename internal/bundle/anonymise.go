package bundle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"mptcpctl/doctor"
	"mptcpctl/internal/managers"
)

// anonymiser puts other addresses and names in the place of those in facts: the
// same one for the same one, so that all that doctor compares stays as it was.
type anonymiser struct {
	key      []byte
	addrs    map[netip.Addr]netip.Addr
	names    map[string]string // by kind and name
	count    map[string]int
	meanings map[string]meaning
	kinds    []netip.Prefix
}

func newAnonymiser(key []byte) *anonymiser {
	return &anonymiser{
		key: key, addrs: map[netip.Addr]netip.Addr{}, names: map[string]string{}, count: map[string]int{},
		meanings: meanings(), kinds: kinds(),
	}
}

// facts returns a copy of the facts with everything hidden that tells where they are
// from.
func (a *anonymiser) facts(f doctor.Facts) (doctor.Facts, error) {
	var hidden doctor.Facts
	text, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(text, &hidden)
	}
	if err != nil {
		return doctor.Facts{}, err
	}
	a.hide(reflect.ValueOf(&hidden).Elem(), "")
	hidden.Firewall = nil // addresses are in the bytes of its rules
	return hidden, nil
}

// meaning tells what a text is.
type meaning uint8

const (
	unknownText meaning = iota // hidden altogether
	word                       // of the kernel or of this program
	device
	namespace
	process
	release // of the kernel: the first numbers tell enough
	prose   // may have addresses in it
)

// meanings are those of the texts in facts, by type and field.
func meanings() map[string]meaning {
	return map[string]meaning{
		"Facts.Netns":      namespace,
		"Facts.Enter":      namespace,
		"Connection.Netns": namespace,
		"Event.Netns":      namespace,
		"Namespace.Name":   namespace,
		"Process.Name":     process, "Namespace.Hint": process,
		"Link.Name":      device,
		"Subflow.Device": device, "RateLimit.Other": device,
		"Address.Label":  device,
		"Rule.IIF":       device,
		"Rule.OIF":       device,
		"Facts.IPv4":     device,
		"Kernel.Release": release, "Lookup.Error": prose, "Gap.What": prose, "Gap.Why": prose,
		"Facts.IPRoute2": word, "Sysctls.Raw": word, "Sysctls.PathManager": word, "Sysctls.Scheduler": word,
		"Sysctls.AvailablePathManagers": word, "Sysctls.AvailableSchedulers": word,
		"Connection.FallbackCause": word, "Connection.PathManager": word,
		"RateLimit.What": word, "RateLimit.Side": word,
		"Link.Type": word, "Link.Kind": word, "Link.OperState": word,
		"Address.Scope": word, "Route.Type": word, "Route.Scope": word, "Route.Protocol": word, "Rule.Family": word,
	}
}

// hide hides what a value names. The place is the field that holds it.
func (a *anonymiser) hide(v reflect.Value, place string) {
	switch at := v.Addr().Interface().(type) {
	case *netip.Addr:
		*at = a.addr(*at)
		return
	case *netip.AddrPort:
		if at.IsValid() {
			*at = netip.AddrPortFrom(a.addr(at.Addr()), at.Port())
		}
		return
	case *netip.Prefix:
		*at = a.prefix(*at)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(a.name(a.meanings[place], v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			a.hide(v.Elem(), place)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			a.hide(v.Index(i), place)
		}
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				a.hide(v.Field(i), t.Name()+"."+t.Field(i).Name)
			}
		}
	case reflect.Map:
		a.hideMap(v, place)
	}
}

// hideMap hides keys that are names of devices, and the values.
func (a *anonymiser) hideMap(v reflect.Value, place string) {
	if v.IsNil() {
		return
	}
	hidden := reflect.MakeMapWithSize(v.Type(), v.Len())
	for entries := v.MapRange(); entries.Next(); {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		key.Set(entries.Key())
		value.Set(entries.Value())
		a.hide(key, place)
		a.hide(value, place)
		hidden.SetMapIndex(key, value)
	}
	v.Set(hidden)
}

// name returns what stands for a text.
func (a *anonymiser) name(m meaning, s string) string {
	switch {
	case s == "", m == word:
		return s
	case m == prose:
		return a.text(s)
	case m == release:
		return s[:leading(s, digits+".")]
	case m == namespace:
		return a.alias("netns", s)
	case m == process && managers.Is(s):
		return s // the program is what the finding is about
	case m == process:
		return a.alias("process", s)
	case m == device && (s == "all" || s == "default" || s == "lo"):
		return s
	case m == device:
		return a.alias("dev", s)
	}
	return "hidden"
}

// alias numbers the names of a kind.
func (a *anonymiser) alias(kind, name string) string {
	id := kind + " " + name
	if _, known := a.names[id]; !known {
		a.count[kind]++
		a.names[id] = fmt.Sprintf("%s%d", kind, a.count[kind])
	}
	return a.names[id]
}

// text hides the addresses in a text. A port behind one is no part of it.
func (a *anonymiser) text(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := leading(s, hexDigits+":.")
		if !strings.ContainsAny(s[:n], ":.") {
			n = max(n, 1)
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		n += suffixes(s[n:])
		a.addresses(&b, s[:n])
		s = s[n:]
	}
	return b.String()
}

// addresses writes a word that looks like an address, or like some of them.
func (a *anonymiser) addresses(b *strings.Builder, word string) {
	for len(word) > 0 {
		n, addr := longestAddress(word)
		switch p, err := netip.ParsePrefix(word); {
		case err == nil:
			n = len(word)
			b.WriteString(a.prefix(p).String())
		case n > 0:
			b.WriteString(a.addr(addr).String())
		default:
			n = 1
			b.WriteByte(word[0])
		}
		word = word[n:]
	}
}

const (
	digits    = "0123456789"
	hexDigits = digits + "abcdefABCDEF"
)

// leading returns how many of the first bytes of the text are of the set. A regular
// expression would cost every command the tables of package unicode at its start.
func leading(s, set string) int { return len(s) - len(strings.TrimLeft(s, set)) }

// suffixes returns the length of the zone and the prefix length that stand behind an
// address.
func suffixes(s string) int {
	n := 0
	if strings.HasPrefix(s, "%") {
		zone := strings.IndexAny(s, "\t\n\f\r /]")
		if zone < 0 {
			zone = len(s)
		}
		if zone > 1 {
			n = zone
		}
	}
	if rest := s[n:]; strings.HasPrefix(rest, "/") {
		if bits := leading(rest[1:], digits); bits > 0 {
			n += 1 + bits
		}
	}
	return n
}

// longestAddress returns the address that the text begins with, and its length, 0
// where it begins with none.
func longestAddress(s string) (int, netip.Addr) {
	for n := len(s); n > 1; n-- {
		if addr, err := netip.ParseAddr(s[:n]); err == nil {
			return n, addr
		}
	}
	return 0, netip.Addr{}
}

// kinds are the prefixes that tell of what kind an address is: they stay. Of all other
// addresses the first 8 or 16 bits do.
func kinds() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix(
			"100.64.0.0/10",
		), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix(
			"192.168.0.0/16",
		), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix(
			"203.0.113.0/24",
		), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2001:db8::/32"),
		netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fe80::/64"),
	}
}

// prefix returns the prefix that stands for another one.
func (a *anonymiser) prefix(p netip.Prefix) netip.Prefix {
	if !p.IsValid() {
		return p
	}
	hidden := netip.PrefixFrom(a.addr(p.Addr()), p.Bits())
	if p == p.Masked() {
		return hidden.Masked()
	}
	return hidden
}

// addr returns the address that stands for another one. Two addresses have as long
// a prefix in common as those that they stand for, and are of the same kind.
func (a *anonymiser) addr(addr netip.Addr) netip.Addr {
	if !addr.IsValid() || addr.IsLoopback() || addr.IsUnspecified() {
		return addr
	}
	hidden, known := a.addrs[addr]
	if !known {
		hidden = a.newAddr(addr)
		a.addrs[addr] = hidden
	}
	return hidden
}

func (a *anonymiser) newAddr(addr netip.Addr) netip.Addr {
	zone := a.name(device, addr.Zone())
	if addr.Is4In6() {
		return netip.AddrFrom16(a.addr(addr.Unmap()).As16()).WithZone(zone)
	}
	b, kept := addr.AsSlice(), 8
	if addr.Is6() {
		kept = 16
	}
	hidden := addr.AsSlice()
	for bit := kept; bit < len(b)*8; bit++ {
		begin, _ := addr.WithZone("").Prefix(bit)
		hidden[bit/8] ^= a.flip(begin) << (7 - bit%8)
	}
	out, _ := netip.AddrFromSlice(hidden)
	return out.WithZone(zone)
}

// flip tells whether the bit behind the prefix is inverted: never where the prefix
// may still become one of kinds.
func (a *anonymiser) flip(begin netip.Prefix) byte {
	for _, k := range a.kinds {
		if begin.Bits() < k.Bits() && begin.Contains(k.Addr()) {
			return 0
		}
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write(begin.Addr().AsSlice())
	mac.Write([]byte{byte(begin.Bits())})
	return mac.Sum(nil)[0] & 1
}
