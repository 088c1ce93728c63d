package fallback

import (
	"fmt"
	"net/netip"

	"mptcpctl/doctor/rule"
)

// Fix is what helps against a cause of fallbacks of connections to the peer.
func Fix(id rule.ID, peer netip.AddrPort) []string {
	switch id {
	case rule.PeerWithoutMPTCP:
		return []string{
			"let the program on the peer use MPTCP (there: mptcpctl run -- COMMAND), with net.mptcp.enabled=1",
			fmt.Sprintf(
				"if it does, a middlebox removes TCP option 30; try another path: mptcpctl probe %s %d",
				peer.Addr(), peer.Port(),
			),
		}
	case rule.ServerUsesTCP:
		return []string{
			"let the program that listens use MPTCP: mptcpctl run -- COMMAND",
			"if it does, a middlebox removes TCP option 30",
		}
	case rule.SocketOption:
		return []string{"remove TCP_MD5SIG from the application, or let it use TCP"}
	case rule.Blackhole:
		return []string{
			fmt.Sprintf(
				"find the firewall on the path to %s that drops SYN packets with TCP option 30", peer.Addr(),
			),
			"sysctl -w net.mptcp.blackhole_timeout=0   (the kernel then tries MPTCP on every connection, so " +
				"connecting is slow)",
		}
	case rule.DataChanged:
		return []string{
			"look for a proxy or gateway that rewrites the payload (FTP or SIP helper, accelerator)",
			"sysctl -w net.mptcp.checksum_enabled=1   (on both hosts: finds the damage before it does harm)",
		}
	case rule.ShortOfMemory:
		return []string{"check the memory of the host: free, dmesg"}
	}
	return []string{"report it to the operator of the path: TCP option 30 (DSS) is removed from data packets"}
}

// FastOpenFix is what helps where a server does not take the data in a SYN.
func FastOpenFix() []string {
	return []string{
		"sysctl -w net.ipv4.tcp_fastopen=0   (here: new connections leave Fast Open out)",
		"or on the peer, to keep Fast Open: sysctl -w net.ipv4.tcp_fastopen=0x602, and start its program again",
	}
}
