package hostnet

// Link is a network device.
type Link struct {
	Index     int    `json:"ifindex"`
	Name      string `json:"ifname"`
	Type      string `json:"link_type"`      // of its hardware: "ether", "loopback", "none", "ppp", …
	Kind      string `json:"kind,omitempty"` // of a virtual device: "veth", "bridge", "wireguard", "tun", …
	MTU       int    `json:"mtu"`
	Master    int    `json:"master,omitempty"` // ifindex of the bridge, bond or VRF that it belongs to
	Up        bool   `json:"up"`               // set up by the administrator
	Carrier   bool   `json:"carrier"`          // its cable, radio or tunnel is connected
	OperState string `json:"operstate"`        // "up", "down", "dormant", "unknown", …
	Loopback  bool   `json:"loopback,omitempty"`
	Wireless  bool   `json:"wireless,omitempty"` // known only for devices that are in sysfs
	Tunnel    bool   `json:"tunnel,omitempty"`   // carries packets over another link: a VPN, most often
}

// Usable reports whether packets can leave by the link.
func (l Link) Usable() bool { return l.Up && l.Carrier }

// PointToPoint reports whether the link has a single other end, so that no gateway is
// needed: there are no neighbours to look for on it.
func (l Link) PointToPoint() bool {
	return l.Tunnel && l.Type != "ether" || l.Loopback || l.Type == "none" || l.Type == "ppp" || l.Type == "rawip"
}

// State returns "up", "no carrier" or "down".
func (l Link) State() string {
	switch {
	case !l.Up:
		return "down"
	case !l.Carrier:
		return "no carrier"
	}
	return "up"
}

// isTunnel reports whether devices of that kind or hardware type send their
// packets over another link.
func isTunnel(kind, hardware string) bool {
	switch kind {
	case "tun", "wireguard", "ipip", "sit", "gre", "gretap", "ip6gre", "ip6gretap", "ip6tnl",
		"vti", "vti6", "xfrm", "vxlan", "geneve", "gtp", "erspan", "ppp", "amneziawg", "ovpn":
		return true
	}
	return hardware == "ppp"
}
