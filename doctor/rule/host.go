package rule

var hostRules = [...]Rule{
	{KernelWithoutMPTCP, FamilyHost, "The kernel has no MPTCP",
		"No program on this host can use MPTCP: the kernel is older than Linux 5.6, or was built without CONFIG_MPTCP.",
		"Opening an MPTCP socket fails with EPROTONOSUPPORT (built without MPTCP) or EINVAL (too old).",
		"Use a newer kernel, or one with CONFIG_MPTCP.", NeedsHost, true},
	{SwitchedOff, FamilyHost, "MPTCP is disabled",
		"The kernel supports MPTCP, but a setting of this network namespace disables it. This is the default on " +
			"RHEL 8 and 9.",
		"net.mptcp.enabled is 0; opening an MPTCP socket fails with ENOPROTOOPT.",
		"sysctl -w net.mptcp.enabled=1, and the same setting in /etc/sysctl.d for the next boot. Programs must open " +
			"new sockets.", NeedsHost, true},
	{KernelTooOld, FamilyHost, "The kernel is too old for a feature",
		"The feature needs a later kernel: events need 5.12, listener events 6.2, laminar endpoints 6.18, more than " +
			"8 endpoints and subflows 7.2.",
		"The netlink family mptcp_pm has no group for events.",
		"Use a newer kernel, or do without the feature.", NeedsHost, true},
	{PolicyForbids, FamilyHost, "A security policy forbids MPTCP",
		"SELinux, seccomp or a container's policy refuses MPTCP sockets, although the kernel and its settings allow " +
			"them.",
		"Opening an MPTCP socket fails with EACCES or EPERM.",
		"Look for denials in the audit log; allow socket() with protocol 262 in the profile.", NeedsHost, true},
	{NoDaemon, FamilyHost, "The userspace path manager is selected, but no daemon runs",
		"New connections leave all decisions about subflows to a daemon such as mptcpd, but none is running: the " +
			"kernel ignores endpoints and limits, refuses joins, and does not report it.",
		"net.mptcp.path_manager is userspace (net.mptcp.pm_type is 1), and no program listens to the path manager's " +
			"events.",
		"sysctl -w net.mptcp.path_manager=kernel for new connections, or start the daemon.", NeedsHost, true},
	{TwoManagers, FamilyHost, "Two programs manage the endpoints",
		"NetworkManager and mptcpd both add and delete endpoints, and each undoes the other's changes.",
		"Both programs run, and endpoints are configured.",
		"Disable one of them: systemctl disable --now mptcp, or connection.mptcp-flags in NetworkManager.",
		NeedsHost, true},
	{ShortOfMemory, FamilyHost, "The kernel is short of tokens or memory",
		"The kernel could not create a token for a connection, or dropped data, because memory was short.",
		"The counters MPFallbackTokenInit, BacklogDrop or RcvPruned increase, or TCP's RcvPruned, TCPRcvQDrop, " +
			"TCPBacklogDrop or TCPAbortOnMemory while there are MPTCP connections.",
		"Give the host or the sockets more memory (net.ipv4.tcp_rmem, net.ipv4.tcp_mem).", NeedsHost, true},
	{WrongNamespace, FamilyHost, "Endpoints and connections are in different network namespaces",
		"Endpoints, limits, counters and settings belong to a network namespace. A container or VPN has its own, so " +
			"the configuration here does not apply to it.",
		"Endpoints here that were never used, and connections with one subflow in a namespace whose default route " +
			"leads here, or the other way round. Without such a route: no MPTCP socket here, but connections in " +
			"other namespaces. Inspecting other namespaces needs CAP_SYS_ADMIN.",
		"mptcpctl -n NAME ... works in the other namespace, mptcpctl -a ... inspects all namespaces.", NeedsHost, true},
}
