// Package firewall reads the packet filter of a network namespace and judges what
// its rules do to a packet of MPTCP.
//
// [Read] fetches the rules and sets of nf_tables from the kernel, those of iptables-nft
// among them. [Firewall.Judge] is a pure function over them: it walks the hooks of a
// packet, from those of its device to those of its protocol, with chains and expressions as
// the kernel does (nft_do_chain in net/netfilter/nf_tables_core.c, Linux 6.18), and reports
// the rules that drop, reject or strip the packet. [Firewall.Follow] does so for the packets
// of a flow, which connection tracking knows from the first one. What depends on state
// outside the rules, such as a limit or the time of day, makes the answer unsure; the judge
// does not guess. TestModel compares it with the kernel.
package firewall
