package counters

// addressCounters are about addresses that are announced and withdrawn, and
// subflows' priorities.
var addressCounters = []Description{
	{
		Name: "AddAddr", Since: "6.1", Meaning: "a peer announced an address: ADD_ADDR received",
		Advice: "the kernel uses it only if `mptcpctl limits set add_addr_accepted` allows",
	},
	{Name: "AddAddrTx", Since: "6.12", Meaning: "this host announced an address: ADD_ADDR sent"},
	{
		Name: "AddAddrTxDrop", Since: "6.12", Trouble: true,
		Meaning: "an address could not be announced: no room among the TCP options, or another announcement was " +
			"pending",
		Advice: "an IPv6 address with a port does not fit into the options together with TCP timestamps: leave out " +
			"the port, or set net.mptcp.add_addr_v6_port_drop_ts=1",
	},
	{Name: "EchoAdd", Since: "6.1", Meaning: "a peer confirmed an announced address: ADD_ADDR echo received"},
	{Name: "EchoAddTx", Since: "6.12", Meaning: "this host confirmed a peer's address: ADD_ADDR echo sent"},
	{
		Name: "EchoAddTxDrop", Since: "6.12", Trouble: true,
		Meaning: "a peer's address could not be confirmed",
		Advice:  "the peer announces it again; a problem only if it continues",
	},
	{Name: "PortAdd", Since: "6.1", Meaning: "a peer announced an address with its own port"},
	{
		Name: "AddAddrDrop", Since: "6.1", Trouble: true,
		Meaning: "this host did not process an address that a peer announced",
		Advice:  "the path manager was busy with another announcement, or no daemon runs; the peer announces it again",
	},
	{Name: "RmAddr", Since: "6.1", Meaning: "a peer removed an address: RM_ADDR received"},
	{
		Name: "RmAddrDrop", Since: "6.1", Trouble: true,
		Meaning: "this host did not process an RM_ADDR from a peer",
		Advice:  "subflows to that address stay until they time out",
	},
	{Name: "RmAddrTx", Since: "6.12", Meaning: "this host removed an address: RM_ADDR sent"},
	{
		Name: "RmAddrTxDrop", Since: "6.12", Trouble: true,
		Meaning: "an RM_ADDR could not be sent",
		Advice:  "the peer may keep trying that address until it times out",
	},
	{
		Name:    "RmSubflow",
		Since:   "6.1",
		Meaning: "a subflow was closed because its address was removed or its endpoint deleted",
	},
	{Name: "MPPrioTx", Since: "6.1", Meaning: "this host changed the priority of a subflow: MP_PRIO sent"},
	{Name: "MPPrioRx", Since: "6.1", Meaning: "a peer changed the priority of a subflow: MP_PRIO received"},
}

// memoryCounters are about data that was thrown away for want of room.
var memoryCounters = []Description{
	{
		Name: "BacklogDrop", Since: "7.3", Trouble: true,
		Meaning: "received data was dropped because the application's socket was busy and its queue full",
		Advice:  "the application reads too slowly, or its receive buffer (net.ipv4.tcp_rmem) is too small",
	},
	{
		Name: "RcvPruned", Since: "6.1", Trouble: true,
		Meaning: "received data was dropped because the receive buffer was full (not in Linux 6.18)",
		Advice: "the application reads too slowly, or net.ipv4.tcp_rmem is too small for paths with such different " +
			"delays",
	},
	{
		Name: "OFOPruned", Since: "7.3", Trouble: true,
		Meaning: "data that arrived out of order was dropped because the receive buffer was full",
		Advice:  "raise net.ipv4.tcp_rmem: paths with different delays need room to reorder data",
	},
	{
		Name:    "SndWndShared",
		Since:   "6.1",
		Meaning: "a subflow could send more because another subflow opened the window: normal",
	},
	{Name: "RcvWndShared", Since: "6.1", Meaning: "another subflow opened the receive window further: normal"},
	{
		Name:    "RcvWndConflictUpdate",
		Since:   "6.1",
		Meaning: "two subflows changed the receive window at the same time, and it was resolved: normal under load",
	},
	{
		Name:    "RcvWndConflict",
		Since:   "6.1",
		Meaning: "two subflows changed the receive window at the same time, and one had to retry: normal under load",
	},
	{
		Name: "WinProbe", Since: "6.18", Meaning: "the peer's window was full: zero-window probe sent",
		Advice: "the peer's application reads slowly",
	},
}
