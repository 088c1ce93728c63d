package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"mptcpctl/internal/kernel"
	"mptcpctl/internal/nlmsg"

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
		return &MissingError{
			What: "nf_tables",
			Why:  "the kernel " + kernel.Release() + " cannot filter packets as this needs",
			Err:  err,
		}
	}
	if err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	return nil
}

// commitNFTables sends a batch and waits for the kernel's word on it: the first
// refusal, or the acknowledgement of the last message.
func commitNFTables(batch []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	patience := unix.NsecToTimeval(int64(nftPatience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &patience); err != nil {
		return err
	}
	if err := unix.Sendto(fd, batch, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	// Only the last message before the batch's end asks for an acknowledgement.
	answer := make([]byte, 64<<10)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	for m := range nlmsg.Messages(answer[:n]) {
		if code, ok := m.Code(); ok && m.Type() == nlmsg.TypeError && code < 0 {
			return unix.Errno(-code)
		}
	}
	return nil
}

// nftPatience bounds how long the kernel may take over a transaction: it waits for
// others that change the rules.
const nftPatience = time.Minute

// firewallBatch returns the messages that replace the table. The table is made
// before it is deleted, because deleting one that is not there fails the batch.
func firewallBatch(rules []FirewallRule) ([]byte, error) {
	b := &nftBatch{}
	b.add(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	b.message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, nftTableName)
	b.message(unix.NFT_MSG_DELTABLE, 0, nftTableName)
	if len(rules) > 0 {
		b.message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, nftTableName)
	}
	chains := map[string]bool{}
	for i := range rules {
		rule := &rules[i]
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %d: %w", i+1, err)
		}
		if name := rule.chain(); !chains[name] {
			chains[name] = true
			b.message(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, rule.encodeChain)
		}
		b.message(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, rule.encode)
	}
	b.acknowledge()
	b.add(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	return b.messages, nil
}

// nftBatch collects the messages of one transaction.
type nftBatch struct {
	messages []byte
	last     int // where the last one begins
}

// message adds an nf_tables message whose attributes encode writes.
func (b *nftBatch) message(kind, flags uint16, encode func(*attributes)) {
	var a attributes
	encode(&a)
	b.add(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, unix.NFPROTO_INET, 0, a.bytes)
}

// add appends a message with its struct nfgenmsg.
func (b *nftBatch) add(kind, flags uint16, family uint8, resource uint16, attributes []byte) {
	m := nlmsg.AppendHeader(nil, kind, unix.NLM_F_REQUEST|flags, 0)
	m = append(m, family, 0 /* NFNETLINK_V0 */)
	m = append(binary.BigEndian.AppendUint16(m, resource), attributes...)
	nlmsg.SetLength(m)
	b.last = len(b.messages)
	b.messages = append(b.messages, nlmsg.Pad(m)...)
}

// acknowledge asks the kernel to acknowledge the last message.
func (b *nftBatch) acknowledge() {
	flags := b.messages[b.last+6:]
	binary.NativeEndian.PutUint16(flags, binary.NativeEndian.Uint16(flags)|unix.NLM_F_ACK)
}

// attributes are netlink attributes that are being written, with the numbers in network
// order as nf_tables has them.
type attributes struct{ bytes []byte }

func (a *attributes) Bytes(kind uint16, value []byte) {
	a.bytes = nlmsg.AppendAttribute(a.bytes, kind, value...)
}

func (a *attributes) String(kind uint16, text string) { a.Bytes(kind, append([]byte(text), 0)) }

func (a *attributes) Uint8(kind uint16, n uint8) { a.Bytes(kind, []byte{n}) }

func (a *attributes) Uint32(kind uint16, n uint32) {
	a.Bytes(kind, binary.BigEndian.AppendUint32(nil, n))
}

func (a *attributes) Nested(kind uint16, f func(*attributes)) {
	a.bytes = nlmsg.AppendNested(a.bytes, kind, func(b []byte) []byte {
		inner := attributes{b}
		f(&inner)
		return inner.bytes
	})
}

func nftTableName(e *attributes) {
	e.String(unix.NFTA_TABLE_NAME, nftTable)
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
func (r *FirewallRule) encodeChain(e *attributes) {
	kind, priority := "filter", int32(-150) // NF_IP_PRI_MANGLE: before anybody filters
	if r.Verdict == Masquerade {
		kind, priority = "nat", 100 // NF_IP_PRI_NAT_SRC
	}
	e.String(unix.NFTA_CHAIN_TABLE, nftTable)
	e.String(unix.NFTA_CHAIN_NAME, r.chain())
	e.String(unix.NFTA_CHAIN_TYPE, kind)
	e.Nested(unix.NFTA_CHAIN_HOOK, func(e *attributes) {
		e.Uint32(unix.NFTA_HOOK_HOOKNUM, uint32(r.Hook))
		e.Uint32(unix.NFTA_HOOK_PRIORITY, uint32(priority))
	})
}

// encode writes the rule.
func (r *FirewallRule) encode(e *attributes) {
	e.String(unix.NFTA_RULE_TABLE, nftTable)
	e.String(unix.NFTA_RULE_CHAIN, r.chain())
	e.Nested(unix.NFTA_RULE_EXPRESSIONS, func(e *attributes) {
		x := &expressions{e}
		x.matchDevices(r)
		x.matchAddresses(r)
		x.matchTCP(r)
		if r.OneIn > 1 {
			x.oneIn(r.OneIn)
		}
		x.verdict(r)
	})
}
