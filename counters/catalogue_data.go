package counters

// dataCounters are about the data in transit and its mapping onto subflows.
var dataCounters = []Description{
	{
		Name: "MPTCPRetrans", Since: "6.1", Trouble: true,
		Meaning: "data was sent again, on another subflow, because the first one did not deliver it in time",
		Advice:  "a few are normal when a path is slow or lost; many mean a bad path: look at the subflows' RTT and retransmissions",
	},
	{
		Name: "DSSNotMatching", Since: "6.1", Trouble: true,
		Meaning: "a packet's data mapping contradicted the one before it",
		Advice:  "a middlebox splits or joins segments without knowing MPTCP",
	},
	{
		Name: "DSSNoMatchTCP", Since: "6.1", Trouble: true,
		Meaning: "a data mapping did not fit the TCP sequence numbers that it came with",
		Advice:  "a middlebox rewrites sequence numbers or the payload",
	},
	{
		Name: "DataCsumErr", Since: "6.1", Trouble: true,
		Meaning: "the checksum over a mapping was wrong: somebody changed the payload",
		Advice:  "an application-level gateway or a proxy is on that path; MPTCP gives the path up or falls back",
	},
	{Name: "OFOQueueTail", Since: "6.1", Meaning: "data came ahead of its turn, at the end of the queue: normal with several paths"},
	{Name: "OFOQueue", Since: "6.1", Meaning: "data came ahead of its turn: normal with several paths"},
	{Name: "OFOMerge", Since: "6.1", Meaning: "data that had come ahead of its turn was joined with its neighbours: normal with several paths"},
	{
		Name: "NoDSSInWindow", Since: "6.1", Trouble: true,
		Meaning: "data lay outside the connection's window and was dropped",
		Advice:  "one of the hosts is broken, or a middlebox replays old data",
	},
	{
		Name: "DuplicateData", Since: "6.1", Meaning: "data came a second time: normal when a subflow was slow and the peer sent it again on another",
	},
	{
		Name: "SubflowStale", Since: "6.1", Trouble: true,
		Meaning: "a subflow delivered nothing for net.mptcp.stale_loss_cnt timeouts and is not used any more",
		Advice:  "that path is dead: check its link, and the route and address of the subflow",
	},
	{Name: "SubflowRecover", Since: "6.1", Meaning: "a subflow that was given up delivers again"},
}

// fallbackCounters are about connections that stopped to be MPTCP after the
// handshake.
var fallbackCounters = []Description{
	{
		Name: "Blackhole", Since: "6.12", Trouble: true,
		Meaning: "packets with MP_CAPABLE were found to vanish on the way while plain TCP works: MPTCP is paused",
		Advice:  "find the firewall that drops unknown TCP options; the pause lasts net.mptcp.blackhole_timeout and doubles each time",
	},
	{
		Name: "DSSCorruptionFallback", Since: "6.1", Trouble: true,
		Meaning: "a damaged data mapping on the only subflow: plain TCP is spoken from then on",
		Advice:  "a middlebox changes the payload or the options after the handshake",
	},
	{
		Name: "DSSCorruptionReset", Since: "6.1", Trouble: true,
		Meaning: "a damaged data mapping on one of several subflows: that subflow was reset",
		Advice:  "a middlebox on that path changes the payload or the options",
	},
	{
		Name: "InfiniteMapTx", Since: "6.1", Trouble: true,
		Meaning: "this host told its peer to go on in plain TCP: infinite mapping sent",
		Advice:  "see DataCsumErr and MPFailRx for the reason",
	},
	{
		Name: "InfiniteMapRx", Since: "6.1", Trouble: true,
		Meaning: "a peer told this host to go on in plain TCP: infinite mapping received",
		Advice:  "the peer met damaged data: see its counters DataCsumErr and MPFailTx",
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
		Meaning: "the first data packet came without the mapping that MP_CAPABLE asks for: plain TCP is spoken",
		Advice:  "a middlebox takes the options off data packets",
	},
	{
		Name: "MD5SigFallback", Since: "6.18", Trouble: true,
		Meaning: "the socket has TCP MD5 signatures, which do not go together with MPTCP: plain TCP is spoken",
		Advice:  "drop TCP_MD5SIG or use a plain TCP socket",
	},
	{
		Name: "MD5SigReset", Since: "7.3", Trouble: true,
		Meaning: "a subflow met TCP MD5 signatures when plain TCP was not possible any more: it was reset",
		Advice:  "drop TCP_MD5SIG or use a plain TCP socket",
	},
	{
		Name: "DssFallback", Since: "6.18", Trouble: true,
		Meaning: "data came without a mapping on the only subflow: plain TCP is spoken from then on",
		Advice:  "a middlebox takes the options off data packets",
	},
	{
		Name: "DssReset", Since: "7.3", Trouble: true,
		Meaning: "data came without a mapping when plain TCP was not possible any more: the subflow was reset",
		Advice:  "a middlebox on that path takes the options off data packets",
	},
	{
		Name: "SimultConnectFallback", Since: "6.18", Trouble: true,
		Meaning: "both hosts connected to each other at the same time: plain TCP is spoken",
		Advice:  "let one of the hosts listen",
	},
	{
		Name: "FallbackFailed", Since: "6.18", Trouble: true,
		Meaning: "plain TCP was called for when it was not possible any more: the subflow or the connection was reset",
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
		Advice:  "no event tells of this: the connection is simply gone",
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
