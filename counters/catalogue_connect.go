package counters

// handshakeCounters are about the first subflow's three packets.
var handshakeCounters = []Description{
	{Name: "MPCapableSYNRX", Since: "6.1", Meaning: "a client asked for MPTCP: SYN with MP_CAPABLE received"},
	{Name: "MPCapableSYNTX", Since: "6.1", Meaning: "this host asked for MPTCP: SYN with MP_CAPABLE sent"},
	{
		Name: "MPCapableSYNACKRX", Since: "6.1", Meaning: "a server agreed to MPTCP: SYN/ACK with MP_CAPABLE received",
		Advice: "the ratio to MPCapableSYNTX is the share of servers that accept MPTCP",
	},
	{
		Name:    "MPCapableACKRX",
		Since:   "6.1",
		Meaning: "a client's MPTCP connection was set up: third ACK with MP_CAPABLE received",
	},
	{
		Name: "MPCapableFallbackACK", Since: "6.1", Trouble: true,
		Meaning: "a client asked for MPTCP, but its third ACK came without the option: the connection uses plain TCP",
		Advice:  "a middlebox on the path from the client removes the option; compare captures at both ends",
	},
	{
		Name: "MPCapableFallbackSYNACK", Since: "6.1", Trouble: true,
		Meaning: "a server answered a request for MPTCP without the option: the connection uses plain TCP",
		Advice: "the server's application or kernel does not use MPTCP, or a middlebox removes the option; see " +
			"`mptcpctl probe`",
	},
	{
		Name: "MPCapableSYNTXDrop", Since: "6.12", Trouble: true,
		Meaning: "SYNs with MP_CAPABLE got no answer, so the next one was sent without it: the connection uses " +
			"plain TCP",
		Advice: "a firewall on the path drops packets with unknown TCP options; a peer that was down counts, too",
	},
	{
		Name: "MPCapableSYNTXDisabled", Since: "6.12", Trouble: true,
		Meaning: "the kernel did not ask for MPTCP, because a firewall dropped such packets before (blackhole)",
		Advice:  "the pause lasts net.mptcp.blackhole_timeout and doubles each time; writing that sysctl ends it",
	},
	{
		Name: "MPCapableEndpAttempt", Since: "6.1",
		Meaning: "a client opened a connection on the port of an endpoint that accepts only additional subflows: " +
			"refused",
		Advice: "clients must connect to the service's own port",
	},
	{
		Name: "MPFallbackTokenInit", Since: "6.1", Trouble: true,
		Meaning: "the kernel could not create a token for a connection: it uses plain TCP",
		Advice:  "memory is short, or very many connections are open",
	},
	{Name: "MPCurrEstab", Since: "6.12", Gauge: true, Meaning: "MPTCP connections that are established now"},
}

// joinCounters are about additional subflows.
var joinCounters = []Description{
	{
		Name: "MPJoinNoTokenFound", Since: "6.1", Trouble: true,
		Meaning: "a peer tried to add a subflow to a connection that this host does not have",
		Advice: "a load balancer sent the subflow to another server than the connection, or the connection had " +
			"just ended",
	},
	{
		Name: "MPJoinNoIdFound", Since: "7.3", Trouble: true,
		Meaning: "an additional subflow used an address id that the connection does not know",
		Advice:  "endpoints were changed while the subflow came up; look at `mptcpctl endpoint show`",
	},
	{Name: "MPJoinSynRx", Since: "6.1", Meaning: "a peer asked for an additional subflow: SYN with MP_JOIN received"},
	{Name: "MPJoinSynBackupRx", Since: "6.1", Meaning: "a peer asked for an additional subflow as backup"},
	{
		Name:    "MPJoinSynAckRx",
		Since:   "6.1",
		Meaning: "a peer agreed to an additional subflow: SYN/ACK with MP_JOIN received",
	},
	{
		Name:    "MPJoinSynAckBackupRx",
		Since:   "6.1",
		Meaning: "a peer agreed to an additional subflow and wants it as backup",
	},
	{
		Name: "MPJoinSynAckHMacFailure", Since: "6.1", Trouble: true,
		Meaning: "a peer's answer to an additional subflow was not authentic: refused",
		Advice:  "a middlebox changes packets, or another host answers instead of the peer",
	},
	{
		Name: "MPJoinSynAckNoMPJoin", Since: "7.3", Trouble: true,
		Meaning: "the answer to an additional subflow came without MP_JOIN: refused",
		Advice:  "a middlebox on this path removes the option, or the address belongs to another host",
	},
	{Name: "MPJoinAckRx", Since: "6.1", Meaning: "an additional subflow came up: third ACK with MP_JOIN received"},
	{
		Name: "MPJoinAckHMacFailure", Since: "6.1", Trouble: true,
		Meaning: "a peer's additional subflow was not authentic: refused",
		Advice:  "a middlebox changes packets, or somebody tries to hijack connections",
	},
	{
		Name: "MPJoinAckNoMPJoin", Since: "7.3", Trouble: true,
		Meaning: "the third packet of an additional subflow came without MP_JOIN: refused",
		Advice:  "a middlebox on this path removes the option",
	},
	{
		Name: "MPJoinAckNoCtx", Since: "7.3", Trouble: true,
		Meaning: "an additional subflow was refused, because its state could not be found",
		Advice:  "memory is short",
	},
	{
		Name: "MPJoinRejected", Since: "6.18", Trouble: true,
		Meaning: "a peer's additional subflow was refused by the limits or the path manager of this host",
		Advice:  "raise `mptcpctl limits set subflows`; with a userspace path manager: is its daemon running?",
	},
	{
		Name: "MPJoinNotEstablished", Since: "7.3", Trouble: true,
		Meaning: "an additional subflow for a connection that was not fully established: refused",
		Advice:  "normal if the connection ends at that moment",
	},
	{Name: "MPJoinSynTx", Since: "6.12", Meaning: "this host asked for an additional subflow: SYN with MP_JOIN sent"},
	{
		Name: "MPJoinSynTxCreatSkErr", Since: "6.12", Trouble: true,
		Meaning: "the kernel could not create a socket for an additional subflow",
		Advice:  "memory is short, or a security policy forbids it",
	},
	{
		Name: "MPJoinSynTxBindErr", Since: "6.12", Trouble: true,
		Meaning: "an additional subflow could not bind to its source address",
		Advice: "an endpoint's address is no longer on this host: compare `mptcpctl endpoint show` and `mptcpctl " +
			"paths`",
	},
	{
		Name: "MPJoinSynTxConnectErr", Since: "6.12", Trouble: true,
		Meaning: "an additional subflow could not start: connect() failed",
		Advice:  "the endpoint's device is down or has no route to the peer: see `mptcpctl paths`",
	},
	{
		Name:    "MPJoinPortSynRx",
		Since:   "6.1",
		Meaning: "a peer asked for an additional subflow on the port of an endpoint",
	},
	{Name: "MPJoinPortSynAckRx", Since: "6.1", Meaning: "a peer agreed to an additional subflow on an announced port"},
	{Name: "MPJoinPortAckRx", Since: "6.1", Meaning: "an additional subflow on the port of an endpoint came up"},
	{
		Name: "MismatchPortSynRx", Since: "6.1", Trouble: true,
		Meaning: "a peer asked for an additional subflow on a port that was not announced: refused",
		Advice:  "port forwarding on the path, or an endpoint with a port was removed or changed",
	},
	{
		Name: "MismatchPortAckRx", Since: "6.1", Trouble: true,
		Meaning: "the third packet of an additional subflow came on a port that was not announced: refused",
		Advice:  "port forwarding on the path, or an endpoint with a port was removed or changed",
	},
}
