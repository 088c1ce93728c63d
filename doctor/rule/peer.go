package rule

var peerRules = [...]Rule{
	{PeerWithoutMPTCP, FamilyPeer, "The peer does not support MPTCP",
		"The peer answered the handshake without MPTCP: its kernel or its program does not use MPTCP, or uses the " +
			"old version 0. Or a middlebox removed the option (D07).",
		"The connection has fallen back, and MPCapableFallbackSYNACK increased.",
		"Upgrade or configure the peer; a probe over another path shows whether it is the path.", NeedsHost, true},
	{PeerWithoutDaemon, FamilyPeer, "The peer selected the userspace path manager, but runs no daemon",
		"The peer leaves decisions to a daemon that does not run, so it refuses every join. From this host it looks " +
			"like a limit (D16).",
		"On the peer: net.mptcp.path_manager is userspace, and MPJoinRejected increases.",
		"On the peer: as for D13.", NeedsPeer, true},
	{PeerLimit, FamilyPeer, "The peer's limit is reached",
		"The join comes up and is closed at once: the peer accepts no further subflow.",
		"SF_ESTABLISHED and SF_CLOSED within one round-trip time, without error; or a reset with the reason " +
			"prohibited or resources. After the fact: as many MPJoinSynTx, MPJoinSynAckRx and MPRstTx as joins of " +
			"which nothing is left.",
		"On the peer: mptcpctl limits set subflows N. The peer refuses the joins of a connection that it refused " +
			"once until one of its subflows ends: let the application connect again.", NeedsHost, true},
	{JoinsForbidden, FamilyPeer, "The peer forbids joins to its address",
		"A server behind a load balancer sets the C flag, because joins to the address of the connection would " +
			"reach another server. It must then announce its own address.",
		"The events of the connection contain deny_join_id0, and there is no ANNOUNCED. After the fact: endpoints " +
			"are used up, and no counter of joins moved at all.",
		"On the peer: add a signal endpoint, or allow joins with net.mptcp.allow_join_initial_addr_port=1 for new " +
			"connections.", NeedsEvents, true},
	{LoadBalancer, FamilyPeer, "A load balancer sends joins to another server",
		"The balancer does not understand MPTCP and takes the second subflow for a new connection. It reaches a " +
			"server that does not know its token.",
		"On that other server MPJoinNoTokenFound increases; the client sees the join refused.",
		"Forbid joins to the shared address (net.mptcp.allow_join_initial_addr_port=0) and announce an individual " +
			"address for each server.", NeedsHost, true},
}
