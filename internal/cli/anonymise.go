package cli

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"mptcpctl/doctor"
)

// anonymiser puts other addresses and names in the place of those in facts: the
// same one for the same one, so that all that doctor compares stays as it was.
type anonymiser struct {
	key   []byte
	names map[string]string // by kind and name
	count map[string]int
}

func newAnonymiser(key []byte) *anonymiser {
	return &anonymiser{key: key, names: map[string]string{}, count: map[string]int{}}
}

// facts returns the facts with everything hidden that tells where they are from.
func (a *anonymiser) facts(f doctor.Facts) (doctor.Facts, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return doctor.Facts{}, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // counters have 64 bits
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return doctor.Facts{}, err
	}
	if text, err = json.Marshal(a.value("", nil, tree)); err != nil {
		return doctor.Facts{}, err
	}
	var hidden doctor.Facts
	if err := json.Unmarshal(text, &hidden); err != nil {
		return doctor.Facts{}, err
	}
	hidden.Firewall = nil // rules in a language of their own: nobody knows what they name
	hidden.Focus = a.text(f.Focus)
	return hidden, nil
}

// value returns what stands for a value below a key of an object.
func (a *anonymiser) value(key string, parent map[string]any, v any) any {
	switch v := v.(type) {
	case map[string]any:
		hidden := make(map[string]any, len(v))
		for k, member := range v {
			if key == "IPv4" {
				hidden[a.device(k)] = member
				continue
			}
			hidden[k] = a.value(k, v, member)
		}
		return hidden
	case []any:
		for i := range v {
			v[i] = a.value(key, parent, v[i])
		}
		return v
	case string:
		return a.string(key, parent, v)
	}
	return v
}

func (a *anonymiser) string(key string, parent map[string]any, s string) string {
	_, process := parent["pid"]
	_, namespace := parent["Endpoints"]
	switch {
	case s == "":
		return s
	case strings.EqualFold(key, "netns"), key == "Name" && namespace:
		return a.name("netns", s)
	case process && key == "name":
		return a.name("process", s)
	case deviceKeys[strings.ToLower(key)]:
		return a.device(s)
	}
	return a.text(s)
}

// deviceKeys are the keys of members that name a device.
var deviceKeys = map[string]bool{"ifname": true, "device": true, "dev": true, "label": true, "iif": true, "oif": true, "iifname": true, "oifname": true}

func (a *anonymiser) device(name string) string {
	switch name {
	case "all", "default", "lo":
		return name
	}
	return a.name("dev", name)
}

// name numbers the names of a kind.
func (a *anonymiser) name(kind, name string) string {
	id := kind + " " + name
	if _, known := a.names[id]; !known {
		a.count[kind]++
		a.names[id] = fmt.Sprintf("%s%d", kind, a.count[kind])
	}
	return a.names[id]
}

// addressLike finds what may be an address.
var addressLike = regexp.MustCompile(`[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*[0-9A-Fa-f:](%[^\s/\]]+)?`)

// text hides the addresses in a text. A port behind one is no part of it.
func (a *anonymiser) text(s string) string {
	return addressLike.ReplaceAllStringFunc(s, func(word string) string {
		if addr, err := netip.ParseAddr(word); err == nil {
			return a.addr(addr).String()
		}
		if flow, err := netip.ParseAddrPort(word); err == nil {
			return netip.AddrPortFrom(a.addr(flow.Addr()), flow.Port()).String()
		}
		return word
	})
}

// addr returns the address that stands for another one. Two addresses have as long
// a prefix in common as those that they stand for; the first 8 bits of an IPv4
// address and the first 16 of an IPv6 address, which tell its kind, stay.
func (a *anonymiser) addr(addr netip.Addr) netip.Addr {
	if addr.IsLoopback() || addr.IsUnspecified() {
		return addr
	}
	zone := addr.Zone()
	if zone != "" {
		zone = a.device(zone)
	}
	if addr.Is4In6() {
		return netip.AddrFrom16(a.addr(addr.Unmap()).As16())
	}
	b, kept := addr.AsSlice(), 1
	if addr.Is6() {
		kept = 2
	}
	hidden := bytes.Clone(b)
	for bit := kept * 8; bit < len(b)*8; bit++ {
		hidden[bit/8] ^= a.flip(b, bit) << (7 - bit%8)
	}
	out, _ := netip.AddrFromSlice(hidden)
	return out.WithZone(zone)
}

// flip tells whether a bit is inverted, from those in front of it.
func (a *anonymiser) flip(b []byte, bit int) byte {
	prefix := bytes.Clone(b[:bit/8+1])
	prefix[bit/8] &= ^byte(0xff >> (bit % 8))
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte{byte(len(b)), byte(bit)})
	mac.Write(prefix)
	return mac.Sum(nil)[0] & 1
}
