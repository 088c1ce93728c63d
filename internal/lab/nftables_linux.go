package lab

import (
	"encoding/binary"
	"errors"
	"fmt"

	"mptcpctl/internal/kernel"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// nftTable is the one table that holds the rules of a host.
const nftTable = "lab"

// SetFirewall replaces the packet filter of the host by these rules, all at once;
// without rules there is none. It speaks nf_tables itself: no nft binary is
// needed. It needs Linux 5.18 to strip an option, 5.2 else.
func (n *Namespace) SetFirewall(rules ...FirewallRule) error {
	batch, err := firewallBatch(rules)
	if err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	err = n.Do(func() error { return commitNFTables(batch) })
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) {
		return &MissingError{What: "nf_tables", Why: "the kernel " + kernel.Release() + " cannot filter packets as this needs", Err: err}
	}
	if err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	return nil
}

// commitNFTables sends a batch and waits for the kernel's word on it: the first
// refusal, or the acknowledgement of the last message.
func commitNFTables(batch []netlink.Message) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.SendMessages(batch); err != nil {
		return err
	}
	// Only the last message before the batch's end asks for an acknowledgement.
	_, err = conn.Receive()
	return err
}

// firewallBatch returns the messages that replace the table. The table is made
// before it is deleted, because deleting one that is not there fails the batch.
func firewallBatch(rules []FirewallRule) ([]netlink.Message, error) {
	b := &nftBatch{}
	b.add(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	b.message(unix.NFT_MSG_NEWTABLE, netlink.Create, nftTableName)
	b.message(unix.NFT_MSG_DELTABLE, 0, nftTableName)
	if len(rules) > 0 {
		b.message(unix.NFT_MSG_NEWTABLE, netlink.Create, nftTableName)
	}
	chains := map[string]bool{}
	for i := range rules {
		rule := &rules[i]
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if name := rule.chain(); !chains[name] {
			chains[name] = true
			b.message(unix.NFT_MSG_NEWCHAIN, netlink.Create, rule.encodeChain)
		}
		b.message(unix.NFT_MSG_NEWRULE, netlink.Create|netlink.Append, rule.encode)
	}
	b.messages[len(b.messages)-1].Header.Flags |= netlink.Acknowledge
	b.add(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	return b.messages, b.err
}

// nftBatch collects the messages of one transaction.
type nftBatch struct {
	messages []netlink.Message
	err      error
}

// message adds an nf_tables message whose attributes encode writes.
func (b *nftBatch) message(kind int, flags netlink.HeaderFlags, encode func(*netlink.AttributeEncoder) error) {
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = binary.BigEndian
	if err := encode(e); err != nil {
		b.err = errors.Join(b.err, err)
		return
	}
	attributes, err := e.Encode()
	b.err = errors.Join(b.err, err)
	b.add(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, unix.NFPROTO_INET, 0, attributes)
}

// add appends a message with its struct nfgenmsg.
func (b *nftBatch) add(kind int, flags netlink.HeaderFlags, family uint8, resource uint16, attributes []byte) {
	data := []byte{family, 0 /* NFNETLINK_V0 */}
	data = binary.BigEndian.AppendUint16(data, resource)
	b.messages = append(b.messages, netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(kind), Flags: netlink.Request | flags},
		Data:   append(data, attributes...),
	})
}

func nftTableName(e *netlink.AttributeEncoder) error {
	e.String(unix.NFTA_TABLE_NAME, nftTable)
	return nil
}

// check refuses rules that the kernel would refuse without a word.
func (r *FirewallRule) check() error {
	switch {
	case r.Verdict == Masquerade && r.Hook != HookPostrouting:
		return errors.New("masquerade stands in postrouting only")
	case r.Verdict == StripOption && r.Option == nil:
		return errors.New("no option to strip")
	case r.Verdict == RejectReset && r.Hook == HookPostrouting, r.Verdict == RejectAdmin && r.Hook == HookPostrouting:
		return errors.New("nothing can be rejected in postrouting")
	case r.Source.IsValid() && r.Destination.IsValid() && r.Source.Addr().Is4() != r.Destination.Addr().Is4():
		return errors.New("source and destination of two families")
	}
	return nil
}

// chain names the rule's chain: one for each hook, and one for NAT.
func (r *FirewallRule) chain() string {
	if r.Verdict == Masquerade {
		return "nat"
	}
	return fmt.Sprintf("filter%d", r.Hook)
}

// encodeChain writes the base chain that the rule belongs to.
func (r *FirewallRule) encodeChain(e *netlink.AttributeEncoder) error {
	kind, priority := "filter", int32(-150) // NF_IP_PRI_MANGLE: before anybody filters
	if r.Verdict == Masquerade {
		kind, priority = "nat", 100 // NF_IP_PRI_NAT_SRC
	}
	e.String(unix.NFTA_CHAIN_TABLE, nftTable)
	e.String(unix.NFTA_CHAIN_NAME, r.chain())
	e.String(unix.NFTA_CHAIN_TYPE, kind)
	e.Nested(unix.NFTA_CHAIN_HOOK, func(e *netlink.AttributeEncoder) error {
		e.Uint32(unix.NFTA_HOOK_HOOKNUM, uint32(r.Hook))
		e.Int32(unix.NFTA_HOOK_PRIORITY, priority)
		return nil
	})
	return nil
}

// encode writes the rule.
func (r *FirewallRule) encode(e *netlink.AttributeEncoder) error {
	e.String(unix.NFTA_RULE_TABLE, nftTable)
	e.String(unix.NFTA_RULE_CHAIN, r.chain())
	e.Nested(unix.NFTA_RULE_EXPRESSIONS, func(e *netlink.AttributeEncoder) error {
		x := &expressions{e}
		x.matchDevices(r)
		x.matchAddresses(r)
		x.matchTCP(r)
		if r.OneIn > 1 {
			x.oneIn(r.OneIn)
		}
		x.verdict(r)
		return nil
	})
	return nil
}
