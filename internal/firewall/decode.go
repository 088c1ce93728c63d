package firewall

import (
	"encoding/binary"
	"slices"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// families are the tables' families that TCP of this host passes.
var families = [...]byte{uapi.NfprotoIPv4, uapi.NfprotoIPv6, uapi.NfprotoInet, uapi.NfprotoNetdev}

// familyName returns what nft calls one of the families.
func familyName(family byte) (name string, ok bool) {
	switch family {
	case uapi.NfprotoIPv4:
		return "ip", true
	case uapi.NfprotoIPv6:
		return "ip6", true
	case uapi.NfprotoInet:
		return "inet", true
	case uapi.NfprotoNetdev:
		return "netdev", true
	}
	return "", false
}

// The hooks by number: those of packets, and those of devices.
var (
	hooks       = [...]Hook{HookPrerouting, HookInput, HookForward, HookOutput, HookPostrouting, HookIngress}
	deviceHooks = [...]Hook{HookIngress, HookEgress}
)

// takeChain takes in a chain's message: struct nfgenmsg and attributes. What is not
// understood is left out.
func (f *Firewall) takeChain(msg []byte) {
	family, attributes, ok := filterMessage(msg)
	if !ok {
		return
	}
	c := Chain{Family: family}
	for kind, data := range nlmsg.Attributes(attributes) {
		switch kind {
		case uapi.NftaChainTable:
			c.Table = text(data)
		case uapi.NftaChainName:
			c.Name = text(data)
		case uapi.NftaChainPolicy:
			c.Drops = bigUint32(data) == nfDrop
		case uapi.NftaChainType:
			c.Type = text(data)
		case uapi.NftaChainHook:
			c.takeHook(data)
		}
	}
	f.Chains = append(f.Chains, c)
}

// takeHook takes in where packets meet the chain.
func (c *Chain) takeHook(attributes []byte) {
	numbers := hooks[:]
	if c.Family == "netdev" {
		numbers = deviceHooks[:]
	}
	for kind, data := range nlmsg.Attributes(attributes) {
		number := bigUint32(data)
		switch {
		case kind == uapi.NftaHookHooknum && len(data) == 4 && number < uint32(len(numbers)):
			c.Hook = numbers[number]
		case kind == uapi.NftaHookPriority:
			c.Priority = int32(number)
		case kind == uapi.NftaHookDev:
			c.takeDevice(data)
		case kind == uapi.NftaHookDevs:
			for kind, data := range nlmsg.Attributes(data) {
				if kind == uapi.NftaDeviceName {
					c.takeDevice(data)
				}
			}
		}
	}
}

// takeDevice takes in a device's name, of which one alone is told twice.
func (c *Chain) takeDevice(name []byte) {
	if d := text(name); !slices.Contains(c.Devices, d) {
		c.Devices = append(c.Devices, d)
	}
}

// takeRule takes in a rule's message, behind those of all chains.
func (f *Firewall) takeRule(msg []byte) {
	family, attributes, ok := filterMessage(msg)
	if !ok {
		return
	}
	var table, chain string
	var r Rule
	for kind, data := range nlmsg.Attributes(attributes) {
		switch kind {
		case uapi.NftaRuleTable:
			table = text(data)
		case uapi.NftaRuleChain:
			chain = text(data)
		case uapi.NftaRuleHandle:
			if len(data) == 8 {
				r.Handle = binary.BigEndian.Uint64(data)
			}
		case uapi.NftaRuleExpressions:
			for _, data := range nlmsg.Attributes(data) {
				r.Expressions = append(r.Expressions, expression(data))
			}
		}
	}
	for i := range f.Chains {
		if c := &f.Chains[i]; c.Family == family && c.Table == table && c.Name == chain {
			c.Rules = append(c.Rules, r)
		}
	}
}

func expression(attributes []byte) Expression {
	var e Expression
	for kind, data := range nlmsg.Attributes(attributes) {
		switch kind {
		case uapi.NftaExprName:
			e.Name = text(data)
		case uapi.NftaExprData:
			e.Data = slices.Clone(data)
		}
	}
	if e.Name == "counter" || e.Name == "last" || e.Name == "quota" {
		e.Data = nil // what was counted makes no difference, and two readings differ by it
	}
	return e
}

// filterMessage splits a message of nf_tables.
func filterMessage(msg []byte) (family string, attributes []byte, ok bool) {
	const header = 4 // struct nfgenmsg
	if len(msg) < header {
		return "", nil, false
	}
	family, ok = familyName(msg[0])
	return family, msg[header:], ok
}
