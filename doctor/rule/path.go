package rule

var pathRules = [...]Rule{
	{Blackhole, FamilyPath, "SYN packets with MPTCP get no answer, so the kernel stops using MPTCP for a while",
		"A firewall drops SYN packets with MPTCP. The kernel tries again without MPTCP, and then leaves MPTCP out " +
			"of all new connections for an hour, doubled each time up to 64 hours. These connections appear in no " +
			"list of MPTCP connections.",
		"MPCapableSYNTXDrop and Blackhole, later MPCapableSYNTXDisabled; sockets with the mptcp ULP and no token.",
		"Find the firewall. sysctl -w net.mptcp.blackhole_timeout=0 disables this detection, and any write to it " +
			"resets the detection.", NeedsHost, true},
	{SYNReset, FamilyPath, "A firewall resets SYN packets with MPTCP",
		"A firewall answers SYN packets with MPTCP with a reset, so the application sees ECONNREFUSED although " +
			"plain TCP works.",
		"CLOSED for a token without CREATED, and no fallback counter increases; a probe over plain TCP connects.",
		"Correct the firewall. Until then the application must use TCP.", NeedsProbe, true},
	{JoinUnanswered, FamilyPath, "The join gets no answer",
		"The SYN of the second subflow, with MP_JOIN, is dropped on its path. The kernel retries it for about two " +
			"minutes.",
		"The subflow is in SYN-SENT and has retransmitted; MPJoinSynTx increases and MPJoinSynAckRx does not; at " +
			"the end SF_CLOSED with ETIMEDOUT.",
		"Look for a firewall or NAT on that path. First rule out a wrong route (D27 to D31).", NeedsHost, true},
	{JoinRefused, FamilyPath, "The join is refused",
		"The SYN of the second subflow is answered with a reset or an ICMP error.",
		"SF_CLOSED with ECONNREFUSED or EHOSTUNREACH, without SF_ESTABLISHED before it.",
		"If the peer still listens (D08) and is the right host (D40), a firewall on this path rejects the join.",
		NeedsEvents, true},
	{JoinStripped, FamilyPath, "MPTCP is removed from the join",
		"A middlebox on the second path removes TCP option 30. Without it the join cannot be accepted, and is reset.",
		"SF_CLOSED without error and without SF_ESTABLISHED; MPJoinSynTx and MPRstTx increase, MPJoinSynAckRx does " +
			"not. After the fact the totals of the namespace show the same, if all joins of which nothing is left " +
			"moved them in this way.",
		"Report it to the operator of that path. Other ports may work.", NeedsHost, true},
	{OptionStripped, FamilyPath, "MPTCP is removed from data",
		"The handshake succeeded, but later packets lost their mapping. With one subflow the connection continues " +
			"as TCP; with several the subflow is reset.",
		"DssFallback or MPCapableDataFallback and the flag fallback; or SF_CLOSED with reset reason middlebox.",
		"Report it to the operator of that path.", NeedsHost, true},
	{DataChanged, FamilyPath, "Data is changed on the way",
		"A gateway rewrites the payload (FTP or SIP helpers, accelerators). MPTCP notices it if checksums are enabled.",
		"DataCsumErr, MPFailTx, MPFailRx, DSSCorruptionFallback, DSSCorruptionReset, InfiniteMapTx or InfiniteMapRx " +
			"increase.",
		"Find the gateway. net.mptcp.checksum_enabled=1 on both hosts detects the damage early.", NeedsHost, true},
	{Proxy, FamilyPath, "A proxy terminates TCP",
		"A proxy answers in the server's name: the two hosts do not talk to each other directly, so joins cannot " +
			"match.",
		"The two hosts' views of a connection disagree: sequence numbers, round trip time, addresses.",
		"Compare both hosts' connections.", NeedsPeer, false},
	{NotRetried, FamilyPath, "A subflow died, and the kernel will not retry it",
		"The kernel's path manager uses each endpoint once for a connection. A subflow that was refused or timed " +
			"out does not come back, even if its path works again.",
		"SF_CLOSED with an error and no later subflow from that address, although the endpoint is fine. Without " +
			"events: the connection counts the endpoint as used (mptcpi_local_addr_used) and has no subflow from " +
			"it; the counters of joins exclude causes, and those that they leave are named. An endpoint that the " +
			"limit kept out is not looked at again when the limit is raised. In the worst case a connection is " +
			"established but has no subflow at all (visible since Linux 6.10).",
		"Delete the endpoint and add it again: all connections then try it again.", NeedsHost, true},
	{SilentPath, FamilyPath, "A path is silent",
		"The subflow's socket is established, but nothing gets through: the link is down, the address is gone, or " +
			"packets are lost. There is no event. The kernel gives up after net.ipv4.tcp_retries2 timeouts, which " +
			"takes many minutes.",
		"The link's state, the host's addresses, retransmission timeouts that double without an acknowledgement.",
		"Repair the link, delete the endpoint and add it again, or lower net.ipv4.tcp_retries2.", NeedsHost, true},
	{CarriesNothing, FamilyPath, "A subflow carries nothing",
		"It is up, but the scheduler sends on other subflows: one end made it a backup, its round-trip time is much " +
			"longer, or the kernel considers it dead (stale).",
		"The flags of the subflow, its share of the bytes, its round-trip time.",
		"mptcpctl endpoint change ... nobackup, if it should carry data. Otherwise nothing.", NeedsHost, true},
	{AddressTranslated, FamilyPath, "NAT on the second path",
		"The peer sees another source address than this host uses. MPTCP is designed for that: address ids identify " +
			"the subflows.",
		"The peer's address of the subflow differs; the address id is the same.",
		"Nothing.", NeedsPeer, false},
}
