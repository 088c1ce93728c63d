package rule

var applicationRules = [...]Rule{
	{ApplicationUsesTCP, FamilyApplication, "The application uses TCP",
		"MPTCP needs an MPTCP socket: a program that opens a TCP socket gets TCP, on every kernel and with every " +
			"setting.",
		"The socket is plain TCP, and no MPTCP counter increases.",
		"Run it with mptcpctl run -- COMMAND, or configure it: GODEBUG=multipathtcp=1 for Go, SocketProtocol=mptcp " +
			"for systemd sockets, listen ... multipath for nginx.", NeedsHost, true},
	{ServerUsesTCP, FamilyApplication, "The server's program uses TCP, or a middlebox removes MPTCP",
		"The client asked for MPTCP, but the server never saw the request or did not answer it. On the client both " +
			"look the same.",
		"The connection has fallen back, and the server's MPCapableSYNRX does not increase. If the server is on " +
			"this host, its listener shows which it is.",
		"Let the server's program use MPTCP. If it does already, a middlebox removes TCP option 30: try another " +
			"path.", NeedsHost, true},
	{ListenerClosed, FamilyApplication, "The listener was closed",
		"A join goes to the port of the connection, so a program must still listen there. A server that stops " +
			"listening after it accepted (netcat without -k) never gets a second subflow.",
		"The server has no MPTCP listener for the port any more; on the client the join is refused (ECONNREFUSED) " +
			"right after ESTABLISHED.",
		"Keep the listening socket open while connections exist.", NeedsHost, true},
	{NothingSent, FamilyApplication, "No data was sent yet",
		"A connection is fully established only after the first data in both directions. Until then no further " +
			"subflow may start. This is normal.",
		"CREATED without ESTABLISHED, and no bytes sent or received.",
		"Nothing to do: subflows start after the first data.", NeedsHost, true},
	{SocketOption, FamilyApplication, "The application uses a feature that MPTCP does not support",
		"TCP_MD5SIG leaves no room for MPTCP's options, and two hosts that connect to each other at the same moment " +
			"cannot negotiate MPTCP. With TCP Fast Open, data in a SYN that the server does not take is sent again " +
			"without " +
			"MPTCP. The kernel falls back to TCP.",
		"The counters MD5SigFallback or SimultConnectFallback increase, or TCPFastOpenActiveFail together with " +
			"MPCapableDataFallback.",
		"Remove the option, or let this program use TCP; switch Fast Open off on the client, or on for the server.",
		NeedsHost, true},
	{ChecksumsDiffer, FamilyApplication, "One end asks for checksums",
		"MPTCP uses checksums if either end requires them. That works, and costs processor time on both.",
		"The connection uses checksums although net.mptcp.checksum_enabled is 0 here.",
		"Nothing to do, or use the same setting on both ends.", NeedsHost, true},
}
