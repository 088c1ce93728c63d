package firewall

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// legacyTables is where the kernel lists the tables of iptables-legacy.
var legacyTables = [...]string{"/proc/thread-self/net/ip_tables_names", "/proc/thread-self/net/ip6_tables_names"}

// Read reads the packet filter of the calling thread's network namespace.
// It needs CAP_NET_ADMIN there: the error is [io/fs.ErrPermission] without. A
// kernel without nf_tables has no rules.
func Read(ctx context.Context) (*Firewall, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return &Firewall{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open nfnetlink: %w", err)
	}
	defer conn.Close()
	var f Firewall
	for _, dump := range [...]struct {
		kind netlink.HeaderType
		take func(*Firewall, []byte)
	}{{unix.NFT_MSG_GETCHAIN, (*Firewall).takeChain}, {unix.NFT_MSG_GETRULE, (*Firewall).takeRule}} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		messages, err := dumpTables(conn, dump.kind)
		switch {
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EOPNOTSUPP):
			messages = nil // no nf_tables
		case err != nil:
			return nil, fmt.Errorf("firewall dump: %w", err)
		}
		for _, m := range messages {
			dump.take(&f, m.Data)
		}
	}
	slices.SortStableFunc(f.Chains, func(a, b FirewallChain) int { return cmp.Compare(a.Priority, b.Priority) })
	return &f, f.readLegacy()
}

// dumpAttempts is how often a dump is begun anew when something changed under it.
const dumpAttempts = 5

// dumpTables asks for all chains or rules, again where they changed meanwhile.
func dumpTables(conn *netlink.Conn, kind netlink.HeaderType) ([]netlink.Message, error) {
	for attempt := 1; ; attempt++ {
		messages, err := conn.Execute(netlink.Message{
			Header: netlink.Header{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | kind, Flags: netlink.Request | netlink.Dump},
			Data:   []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
		})
		changed := slices.ContainsFunc(messages, func(m netlink.Message) bool { return m.Header.Flags&netlink.DumpInterrupted != 0 })
		if err != nil || !changed || attempt == dumpAttempts {
			return messages, err
		}
	}
}

// readLegacy finds tables of iptables-legacy.
func (f *Firewall) readLegacy() error {
	for _, name := range legacyTables {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue // none, or the namespace is not the caller's to ask
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, table := range strings.Fields(string(text)) {
			if !slices.Contains(f.Legacy, table) {
				f.Legacy = append(f.Legacy, table)
			}
		}
	}
	return nil
}

// families are the tables' families that TCP of this host passes, as nft calls them.
var families = map[byte]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet"}

var hooks = [...]Hook{HookPrerouting, HookInput, HookForward, HookOutput, HookPostrouting}

// takeChain takes in a chain's message: struct nfgenmsg and attributes. What is not
// understood is left out.
func (f *Firewall) takeChain(msg []byte) {
	family, attributes, ok := filterMessage(msg)
	if !ok {
		return
	}
	c := FirewallChain{Family: family}
	eachAttribute(attributes, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_CHAIN_TABLE:
			c.Table = unix.ByteSliceToString(data)
		case unix.NFTA_CHAIN_NAME:
			c.Name = unix.ByteSliceToString(data)
		case unix.NFTA_CHAIN_POLICY:
			c.Drops = bigUint32(data) == nfDrop
		case unix.NFTA_CHAIN_HOOK:
			eachAttribute(data, func(kind uint16, data []byte) {
				number := bigUint32(data)
				switch {
				case kind == unix.NFTA_HOOK_HOOKNUM && len(data) == 4 && number < uint32(len(hooks)):
					c.Hook = hooks[number]
				case kind == unix.NFTA_HOOK_PRIORITY:
					c.Priority = int32(number)
				}
			})
		}
	})
	f.Chains = append(f.Chains, c)
}

// takeRule takes in a rule's message, behind those of all chains.
func (f *Firewall) takeRule(msg []byte) {
	family, attributes, ok := filterMessage(msg)
	if !ok {
		return
	}
	var table, chain string
	var r FirewallRule
	eachAttribute(attributes, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_RULE_TABLE:
			table = unix.ByteSliceToString(data)
		case unix.NFTA_RULE_CHAIN:
			chain = unix.ByteSliceToString(data)
		case unix.NFTA_RULE_HANDLE:
			if len(data) == 8 {
				r.Handle = binary.BigEndian.Uint64(data)
			}
		case unix.NFTA_RULE_EXPRESSIONS:
			eachAttribute(data, func(_ uint16, data []byte) { r.Expressions = append(r.Expressions, expression(data)) })
		}
	})
	for i := range f.Chains {
		if c := &f.Chains[i]; c.Family == family && c.Table == table && c.Name == chain {
			c.Rules = append(c.Rules, r)
		}
	}
}

func expression(attributes []byte) Expression {
	var e Expression
	eachAttribute(attributes, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_EXPR_NAME:
			e.Name = unix.ByteSliceToString(data)
		case unix.NFTA_EXPR_DATA:
			e.Data = slices.Clone(data)
		}
	})
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
	family, ok = families[msg[0]]
	return family, msg[header:], ok
}
