package rule

var toolRules = [...]Rule{
	{EventsLost, FamilyTool, "Events were lost",
		"The kernel drops events that do not fit into the reader's buffer. The output has a gap; the state was read " +
			"again.",
		"The socket counts the exact number.",
		"Raise net.core.rmem_max, or run with CAP_NET_ADMIN of the host.", NeedsHost, true},
	{OldIPRoute2, FamilyTool, "The ip command is older than the kernel",
		"iproute2 prints unknown values as numbers: UNKNOWN 15, flags=2.",
		"The versions of both.",
		"Use mptcpctl, or a newer iproute2.", NeedsHost, true},
}
