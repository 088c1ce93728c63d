// Package firewall reads the packet filter of a network namespace and judges what
// its rules do to a packet of MPTCP.
//
// [Read] fetches the rules of nf_tables from the kernel, those of iptables-nft among
// them. [Firewall.Judge] is a pure function over these rules: it walks chains and
// expressions as the kernel does (nft_do_chain in net/netfilter/nf_tables_core.c,
// Linux 6.18) and reports the rules that drop, reject or strip the packet. A rule that
// depends on state outside the rules, such as a set or a limit, makes the answer
// unsure; the judge does not guess.
package firewall
