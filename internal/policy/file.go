package policy

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"strings"

	"mptcpctl/mptcp"

	"github.com/pelletier/go-toml/v2"
)

// Policy is what a file asks for.
type Policy struct {
	Subflows        *uint32 // limits; nil: left alone
	AddAddrAccepted *uint32
	Rules           []Rule
}

// SafeLimit is the greatest limit that every kernel takes: 8 up to Linux 7.1, 64
// since 7.2.
const SafeLimit = 8

// LimitsAbove returns the keys of the limits of the file that are greater than n.
func (p *Policy) LimitsAbove(n int64) (keys []string) {
	if p.Subflows != nil && int64(*p.Subflows) > n {
		keys = append(keys, "subflows")
	}
	if p.AddAddrAccepted != nil && int64(*p.AddAddrAccepted) > n {
		keys = append(keys, "add_addr_accepted")
	}
	return keys
}

// Rule asks for endpoints: one of an address of its own, or one of each address of
// the links that it names.
type Rule struct {
	Address netip.Addr // of its own; the zero value: the links' addresses
	Device  string     // with Address: what subflows are bound to, "" for nothing

	Link   string       // a pattern (path.Match) of link names, "" for all
	Within netip.Prefix // the addresses must be in it; the zero value: all
	Family mptcp.Family // 0: both
	Bind   bool         // bind subflows to the address' link

	ID    mptcp.AddressID // 0: the kernel chooses
	Port  uint16
	Flags mptcp.EndpointFlags
}

// Error tells what is wrong with a file, and where.
type Error struct {
	Where string // "line 7", "endpoint 2: flags", …
	Err   error
}

// Error returns the place and the fault.
func (e *Error) Error() string { return e.Where + ": " + e.Err.Error() }

// Unwrap returns the fault.
func (e *Error) Unwrap() error { return e.Err }

// fileForm is the file as TOML has it.
type fileForm struct {
	Limits struct {
		Subflows        *int64 `toml:"subflows"`
		AddAddrAccepted *int64 `toml:"add_addr_accepted"`
	} `toml:"limits"`
	Endpoints []ruleForm `toml:"endpoint"`
}

type ruleForm struct {
	Address string   `toml:"address"`
	Dev     string   `toml:"dev"`
	Link    string   `toml:"link"`
	Within  string   `toml:"within"`
	Family  string   `toml:"family"`
	Bind    *bool    `toml:"bind"`
	ID      int64    `toml:"id"`
	Port    int64    `toml:"port"`
	Flags   []string `toml:"flags"`
}

// Parse reads a policy. A key that it does not know is an error, so that a slip of
// the pen does not pass for a wish. Errors are *Error.
func Parse(text []byte) (*Policy, error) {
	var form fileForm
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&form)
	if err != nil {
		return nil, fault(text, err)
	}
	p := &Policy{}
	if p.Subflows, err = limit("limits: subflows", form.Limits.Subflows); err != nil {
		return nil, err
	}
	if p.AddAddrAccepted, err = limit("limits: add_addr_accepted", form.Limits.AddAddrAccepted); err != nil {
		return nil, err
	}
	for i := range form.Endpoints {
		rule, field, err := form.Endpoints[i].rule()
		if err != nil {
			return nil, &Error{fmt.Sprintf("endpoint %d: %s", i+1, field), err}
		}
		p.Rules = append(p.Rules, rule)
	}
	return p, p.check()
}

// fault returns the place and the words of what the TOML package says.
func fault(text []byte, err error) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return &Error{"key " + strings.Join(unknown.Errors[0].Key(), "."), errors.New("unknown")}
	}
	if wrong := shape(text); wrong != nil {
		return wrong
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := wrong.Position()
		return &Error{fmt.Sprintf("line %d", line), errors.New(strings.TrimPrefix(wrong.Error(), "toml: "))}
	}
	return &Error{"file", err}
}

// limit takes a limit over; how much is too much, the kernel says.
func limit(where string, n *int64) (*uint32, error) {
	if n == nil {
		return nil, nil
	}
	if *n < 0 || *n > 1<<31 {
		return nil, &Error{where, fmt.Errorf("%d is no limit", *n)}
	}
	return new(uint32(*n)), nil
}

// rule reads one endpoint; field names the key that is wrong.
func (f *ruleForm) rule() (r Rule, field string, err error) {
	r = Rule{Device: f.Dev, Link: f.Link, Bind: f.Bind == nil || *f.Bind}
	if f.ID < 0 || f.ID > 255 {
		return r, "id", fmt.Errorf("%d is not from 1 to 255", f.ID)
	}
	if f.Port < 0 || f.Port > 65535 {
		return r, "port", fmt.Errorf("%d is no port", f.Port)
	}
	r.ID, r.Port = mptcp.AddressID(f.ID), uint16(f.Port)
	for _, name := range f.Flags {
		flag, ok := mptcp.ParseEndpointFlag(name)
		if !ok {
			return r, "flags", fmt.Errorf(
				"%q is no flag: want %s", name,
				strings.Join((mptcp.KnownEndpointFlags&^mptcp.FlagImplicit).Names(), ", "),
			)
		}
		r.Flags |= flag
	}
	if f.Flags == nil {
		return r, "flags", errors.New(
			"missing: an endpoint that is neither subflow nor signal only gives its address an id; say [] for that",
		)
	}
	if field, err := checkFlags(&r); err != nil {
		return r, field, err
	}
	if f.Address != "" {
		return r, "address", f.fixed(&r)
	}
	return f.following(r)
}

// checkFlags refuses what the kernel would refuse or what would do nothing.
func checkFlags(r *Rule) (field string, err error) {
	switch {
	case r.Flags.Has(mptcp.FlagImplicit):
		return "flags", errors.New("implicit endpoints are the kernel's own")
	case r.Flags.Has(mptcp.FlagSignal | mptcp.FlagFullmesh):
		return "flags", errors.New("signal and fullmesh exclude each other")
	case r.Port != 0 && (!r.Flags.Has(mptcp.FlagSignal) || r.Flags.Has(mptcp.FlagSubflow)):
		return "port", errors.New("a port goes with signal, and not with subflow")
	}
	return "", nil
}

// fixed reads the rule of one address.
func (f *ruleForm) fixed(r *Rule) error {
	if f.Link != "" || f.Within != "" || f.Family != "" || f.Bind != nil {
		return errors.New("link, within, family and bind are for rules without an address of their own")
	}
	a, err := netip.ParseAddr(f.Address)
	if err != nil {
		return err
	}
	if a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("%q is not the address of a host (a link-local one goes with dev, not with %%)", f.Address)
	}
	r.Address, r.Bind = a, false
	return nil
}

// following reads the rule that follows the links' addresses.
func (f *ruleForm) following(r Rule) (Rule, string, error) {
	if f.Dev != "" {
		return r, "dev", errors.New("goes with address; without one, say link")
	}
	if f.Link == "" && f.Within == "" {
		return r, "address", errors.New("missing: want address, or link, or within")
	}
	if _, err := path.Match(f.Link, ""); err != nil {
		return r, "link", fmt.Errorf("%q is no pattern: %w", f.Link, err)
	}
	if f.Within != "" {
		prefix, err := netip.ParsePrefix(f.Within)
		if err != nil {
			return r, "within", err
		}
		r.Within = prefix.Masked()
	}
	if f.ID != 0 {
		return r, "id", errors.New("goes with address: a rule may make several endpoints")
	}
	switch f.Family {
	case "":
	case mptcp.FamilyINET.String():
		r.Family = mptcp.FamilyINET
	case mptcp.FamilyINET6.String():
		r.Family = mptcp.FamilyINET6
	default:
		return r, "family", fmt.Errorf("%q is neither inet nor inet6", f.Family)
	}
	return r, "", nil
}

// check refuses rules that contradict each other.
func (p *Policy) check() error {
	ids := map[mptcp.AddressID]int{}
	addresses := map[identity]int{}
	for i, r := range p.Rules {
		where := fmt.Sprintf("endpoint %d", i+1)
		if other, taken := ids[r.ID]; taken && r.ID != 0 {
			return &Error{where, fmt.Errorf("id %d is that of endpoint %d", r.ID, other)}
		}
		ids[r.ID] = i + 1
		if !r.Address.IsValid() {
			continue
		}
		key := identity{r.Address.Unmap(), r.Port}
		if other, taken := addresses[key]; taken {
			return &Error{where, fmt.Errorf("%v is that of endpoint %d", r.Address, other)}
		}
		addresses[key] = i + 1
	}
	return nil
}
