package rule

var limitRules = [...]Rule{
	{SubflowLimit, FamilyLimits, "The limit of subflows is too low",
		"The path manager creates at most this number of additional subflows for a connection. On old kernels the " +
			"default is 0. On a server the same limit refuses joins from clients.",
		"The connection has as many additional subflows as `limits show` allows. On a server MPJoinRejected increases.",
		"mptcpctl limits set subflows N.", NeedsHost, true},
	{AnnouncementsNotAccepted, FamilyLimits, "Announced addresses are not accepted",
		"The peer announces further addresses, but this host accepts none: add_addr_accepted is 0 by default.",
		"ANNOUNCED (or the counter AddAddr) without a join after it, and add_addr_accepted is 0.",
		"mptcpctl limits set add_addr_accepted N subflows N.", NeedsHost, true},
	{HangingAttempt, FamilyLimits, "A pending attempt holds the last place",
		"A subflow counts towards the limit from its first SYN. If it gets no answer, it blocks other attempts for " +
			"minutes.",
		"The limit is reached, and one of the subflows is in SYN-SENT.",
		"Repair the path of the pending subflow, delete its endpoint, or raise the limit.", NeedsHost, true},
	{TableFull, FamilyLimits, "The table of endpoints is full",
		"A namespace can have 8 endpoints (255 since Linux 7.2). Adding one more fails with ERANGE, which ip shows " +
			"as \"too many addresses or duplicate one: -34\".",
		"That many endpoints are configured.",
		"Delete endpoints that are not needed, first those whose address no longer exists.", NeedsHost, true},
	{ListenerOverrun, FamilyLimits, "A listener is overrun",
		"A program accepts connections more slowly than they arrive. When its queue is full, the kernel drops SYN " +
			"packets, also those of further subflows, although no program needs to accept these. Or the kernel " +
			"answers with SYN cookies, and refuses joins.",
		"More connections wait at the listener than may, and ListenOverflows moves; or SyncookiesSent and " +
			"MPJoinRejected move together, and no limit is reached (D15).",
		"Make the application accept faster, or raise its backlog, net.core.somaxconn and " +
			"net.ipv4.tcp_max_syn_backlog.", NeedsHost, true},
}
