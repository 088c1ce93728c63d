package rule

var endpointRules = [...]Rule{
	{AnnouncedWithoutListener, FamilyEndpoint, "No program listens on an announced address",
		"A signal endpoint tells peers to connect to its address, on the port of the connection. If the server's " +
			"program listens only on another address, these subflows are refused.",
		"There is no MPTCP listener on the wildcard address or on the endpoint's address. On the client: ANNOUNCED, " +
			"then SF_CLOSED with ECONNREFUSED.",
		"Listen on the wildcard address, or add the endpoint with a port: the kernel then listens on that port " +
			"itself.", NeedsHost, true},
	{ClientSignals, FamilyEndpoint, "A client announces its address",
		"A client that announces its address asks the server to connect back, but no program listens there. A " +
			"client needs the flag subflow instead of signal.",
		"The host has opened connections and has no MPTCP listener, but an endpoint has the flag signal. The server " +
			"sees SF_CLOSED with ECONNREFUSED.",
		"Delete the endpoint and add it with subflow.", NeedsHost, true},
	{EndpointWithoutPurpose, FamilyEndpoint, "An endpoint does nothing",
		"An endpoint without any of the flags subflow, signal, fullmesh and laminar does nothing. One with fullmesh " +
			"and without subflow makes no subflow to the peer's own address, only to addresses that the peer " +
			"announces. (With backup alone it changes the priority of the initial subflow, if that has its address.)",
		"The endpoint's flags.",
		"Delete it and add it with subflow or signal.", NeedsHost, true},
	{InitialAddress, FamilyEndpoint, "The endpoint is the address of the initial subflow",
		"The connection already uses this address: it started from there. The initial subflow has id 0, whatever " +
			"the id of the endpoint is.",
		"The endpoint's address is the local address of the initial subflow.",
		"Nothing is wrong. For a second path add an endpoint for another address; mptcpctl paths shows them.",
		NeedsHost, true},
	{AddressMissing, FamilyEndpoint, "The endpoint's address is not on this host",
		"The address was removed, was never there, or is not usable yet. The kernel keeps the endpoint, tries it " +
			"once for each connection, and fails silently.",
		"The host does not have the address, or it is tentative; MPJoinSynTxBindErr increases.",
		"Delete the endpoint, or give the host the address. Let one program manage both.", NeedsHost, true},
	{LinkDown, FamilyEndpoint, "The endpoint's link is down",
		"The device that the endpoint names, or that has its address, is down, has no carrier, or no longer exists.",
		"The state of the link; MPJoinSynTxConnectErr increases, and there is no event.",
		"Bring the link up. If the device came back with another index, delete the endpoint and add it again.",
		NeedsHost, true},
	{OtherFamily, FamilyEndpoint, "No endpoint has the connection's address family",
		"A connection over IPv4 can use only IPv4 endpoints, and one over IPv6 only IPv6 endpoints. The kernel " +
			"silently skips the others.",
		"All endpoints that create subflows have the other address family.",
		"Add an endpoint whose address has the connection's address family.", NeedsHost, true},
	{AnnouncementTooLong, FamilyEndpoint, "An announcement does not fit into the TCP options",
		"An IPv6 address with a port does not fit into the TCP options together with timestamps, so it is never " +
			"announced. (Linux 7.2 leaves the timestamps out of that packet.)",
		"A signal endpoint has an IPv6 address and a port, and AddAddrTxDrop increases.",
		"Announce it without a port, or disable TCP timestamps.", NeedsHost, true},
}
