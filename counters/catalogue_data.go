package counters

// dataCounters are about the data in transit and its mapping onto subflows.
var dataCounters = []Description{
	{
		Name: "MPTCPRetrans", Since: "6.1", Trouble: true,
		Meaning: "data was sent again, on another subflow, because the first one did not deliver it in time",
		Advice: "a few are normal when a path is slow or fails; many mean a bad path: check the subflows' RTT and " +
			"retransmissions",
	},
	{
		Name: "DSSNotMatching", Since: "6.1", Trouble: true,
		Meaning: "a packet's data mapping contradicted the one before it",
		Advice:  "a middlebox splits or merges segments without supporting MPTCP",
	},
	{
		Name: "DSSNoMatchTCP", Since: "6.1", Trouble: true,
		Meaning: "a data mapping did not match the TCP sequence numbers of its packet",
		Advice:  "a middlebox rewrites sequence numbers or the payload",
	},
	{
		Name: "DataCsumErr", Since: "6.1", Trouble: true,
		Meaning: "the checksum of a mapping was wrong: the payload was changed on the path",
		Advice:  "an application-level gateway or a proxy is on that path; MPTCP gives up the path or falls back",
	},
	{
		Name:    "OFOQueueTail",
		Since:   "6.1",
		Meaning: "data arrived out of order, at the end of the queue: normal with several paths",
	},
	{Name: "OFOQueue", Since: "6.1", Meaning: "data arrived out of order: normal with several paths"},
	{
		Name:    "OFOMerge",
		Since:   "6.1",
		Meaning: "data that arrived out of order was merged with its neighbours: normal with several paths",
	},
	{
		Name: "NoDSSInWindow", Since: "6.1", Trouble: true,
		Meaning: "data outside the connection's window was dropped",
		Advice:  "one of the hosts is faulty, or a middlebox replays old data",
	},
	{
		Name: "DuplicateData", Since: "6.1", Meaning: "data arrived twice: normal when a subflow was slow and the " +
			"peer sent it again on another one",
	},
	{
		Name: "SubflowStale", Since: "6.1", Trouble: true,
		Meaning: "a subflow delivered nothing for net.mptcp.stale_loss_cnt timeouts and is no longer used",
		Advice:  "that path is dead: check its link, and the route and address of the subflow",
	},
	{Name: "SubflowRecover", Since: "6.1", Meaning: "a subflow that was no longer used delivers again"},
}

// fallbackCounters are about connections that stopped to be MPTCP after the
// handshake.
var fallbackCounters = []Description{
	{
		Name: "Blackhole", Since: "6.12", Trouble: true,
		Meaning: "packets with MP_CAPABLE get no answer although plain TCP works: MPTCP is paused",
		Advice: "find the firewall that drops unknown TCP options; the pause lasts net.mptcp.blackhole_timeout and " +
			"doubles each time",
	},
	{
		Name: "DSSCorruptionFallback", Since: "6.1", Trouble: true,
		Meaning: "a damaged data mapping on the only subflow: the connection continues as plain TCP",
		Advice:  "a middlebox changes the payload or the options after the handshake",
	},
	{
		Name: "DSSCorruptionReset", Since: "6.1", Trouble: true,
		Meaning: "a damaged data mapping on one of several subflows: that subflow was reset",
		Advice:  "a middlebox on that path changes the payload or the options",
	},
	{
		Name: "InfiniteMapTx", Since: "6.1", Trouble: true,
		Meaning: "this host told its peer to continue with plain TCP: infinite mapping sent",
		Advice:  "see DataCsumErr and MPFailRx for the reason",
	},
	{
		Name: "InfiniteMapRx", Since: "6.1", Trouble: true,
		Meaning: "a peer told this host to continue with plain TCP: infinite mapping received",
		Advice:  "the peer received damaged data: see its counters DataCsumErr and MPFailTx",
	},
	{
		Name: "MPFailTx", Since: "6.1", Trouble: true,
		Meaning: "this host told its peer that data arrived damaged: MP_FAIL sent",
		Advice:  "an application-level gateway or a proxy changes the payload",
	},
	{
		Name: "MPFailRx", Since: "6.1", Trouble: true,
		Meaning: "a peer told this host that data arrived damaged: MP_FAIL received",
		Advice:  "an application-level gateway or a proxy changes the payload",
	},
	{
		Name: "MPCapableDataFallback", Since: "6.18", Trouble: true,
		Meaning: "the first data packet came without the mapping that MP_CAPABLE requires: the connection uses " +
			"plain TCP",
		Advice: "a middlebox removes the options from data packets",
	},
	{
		Name: "MD5SigFallback", Since: "6.18", Trouble: true,
		Meaning: "the socket uses TCP MD5 signatures, which MPTCP does not support: the connection uses plain TCP",
		Advice:  "remove TCP_MD5SIG or use a plain TCP socket",
	},
	{
		Name: "MD5SigReset", Since: "7.3", Trouble: true,
		Meaning: "a subflow used TCP MD5 signatures when plain TCP was no longer possible: it was reset",
		Advice:  "remove TCP_MD5SIG or use a plain TCP socket",
	},
	{
		Name: "DssFallback", Since: "6.18", Trouble: true,
		Meaning: "data came without a mapping on the only subflow: the connection continues as plain TCP",
		Advice:  "a middlebox removes the options from data packets",
	},
	{
		Name: "DssReset", Since: "7.3", Trouble: true,
		Meaning: "data came without a mapping when plain TCP was no longer possible: the subflow was reset",
		Advice:  "a middlebox on that path removes the options from data packets",
	},
	{
		Name: "SimultConnectFallback", Since: "6.18", Trouble: true,
		Meaning: "both hosts connected to each other at the same time: the connection uses plain TCP",
		Advice:  "let one of the hosts listen",
	},
	{
		Name: "FallbackFailed", Since: "6.18", Trouble: true,
		Meaning: "plain TCP was needed when it was no longer possible: the subflow or the connection was reset",
		Advice:  "see the other fallback and DSS counters for the reason",
	},
}

// endCounters are about connections and subflows that ended before their time.
var endCounters = []Description{
	{
		Name: "MPFastcloseTx", Since: "6.1", Trouble: true,
		Meaning: "this host aborted a connection: MP_FASTCLOSE sent",
		Advice:  "the application closed with unread data or with SO_LINGER 0, or was killed",
	},
	{
		Name: "MPFastcloseRx", Since: "6.1", Trouble: true,
		Meaning: "a peer aborted a connection: MP_FASTCLOSE received",
		Advice:  "there is no event for this: the connection is simply gone",
	},
	{
		Name: "MPRstTx", Since: "6.1", Trouble: true,
		Meaning: "this host reset a subflow: MP_TCPRST sent",
		Advice:  "normal when endpoints are deleted or limits refuse a subflow",
	},
	{
		Name: "MPRstRx", Since: "6.1", Trouble: true,
		Meaning: "a peer reset a subflow: MP_TCPRST received",
		Advice:  "`mptcpctl monitor` shows the peer's reason in the SF_CLOSED event",
	},
}
