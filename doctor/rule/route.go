package rule

var routeRules = [...]Rule{
	{WrongLink, FamilyRoute, "Subflows leave through the wrong link",
		"An endpoint's address sets the source address, not the route: without dev or a routing rule for that " +
			"source, packets from the second address follow the default route and leave through the first link.",
		"A route lookup from the endpoint's address gives another device than the one that has the address, or the " +
			"endpoint's dev is a different device.",
		"Add the endpoint with the dev that has its address, or add a routing rule for the source address.",
		NeedsHost, true},
	{NoRoute, FamilyRoute, "No route from the endpoint",
		"The endpoint is bound to a device that has no route to the peer; the kernel then looks for the peer on the " +
			"link itself and does not find it. Or there is no route at all from its address.",
		"A route lookup from the address fails, with or without the device, or gives no gateway although the peer " +
			"is in none of the link's prefixes. SF_CLOSED with EHOSTUNREACH. For an address that the peer " +
			"announced: MPJoinSynTxConnectErr increases, and the connection counts no accepted address.",
		"Add a route with a gateway on that device (with a high metric it does not affect other traffic).",
		NeedsHost, true},
	{ReversePathFilter, FamilyRoute, "The reverse path filter is strict",
		"With rp_filter 1 the kernel drops a packet if the answer to it would leave through another link. On a host " +
			"with two links this affects the second path.",
		"The larger of net.ipv4.conf.all.rp_filter and the device's rp_filter is 1, and the route back uses another " +
			"device; IPReversePathFilter increases.",
		"sysctl -w net.ipv4.conf.DEVICE.rp_filter=2.", NeedsHost, true},
	{SameSubnet, FamilyRoute, "Two links in one subnet",
		"Both addresses are in the same prefix: the kernel sends through one of the links whatever the source " +
			"address is, and answers ARP for both addresses on both links. Red Hat's example is such a network, to " +
			"keep it small.",
		"Two links have addresses in the same prefix, and the route lookup from the second address gives the first " +
			"link.",
		"Add the endpoint with dev, set arp_ignore to 1 and arp_announce to 2, or use routing rules for the source " +
			"address.", NeedsHost, true},
	{TunnelRoute, FamilyRoute, "Subflows go into a tunnel",
		"A VPN has routes for all destinations, so subflows from the second address go into the tunnel and leave " +
			"through the link that the tunnel uses.",
		"A route lookup from the endpoint's address gives a tun, WireGuard or similar device.",
		"Exclude the peer from the VPN, or add the endpoint with dev and a route on its link.", NeedsHost, true},
	{MarkedRule, FamilyRoute, "A routing rule by user does not apply to joins",
		"A rule by uidrange chooses the table for the packets of a program. The kernel makes joins as user 0, so " +
			"they take another way. " +
			"(A rule by fwmark applies to joins as to the first subflow: they carry the mark of the program's socket.)",
		"Such a rule is there for the program's user, and a join from an endpoint gets no answer.",
		"Add a rule by source address.", NeedsHost, true},
}
