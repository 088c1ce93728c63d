package uapi

// Socket level, options and control messages of netlink (linux/netlink.h).
const (
	SOL_NETLINK = 270 // SOL_NETLINK

	NetlinkAddMembership  = 1  // NETLINK_ADD_MEMBERSHIP
	NetlinkPktinfo        = 3  // NETLINK_PKTINFO
	NetlinkBroadcastError = 4  // NETLINK_BROADCAST_ERROR
	NetlinkNoENOBUFS      = 5  // NETLINK_NO_ENOBUFS
	NetlinkListenAllNSID  = 8  // NETLINK_LISTEN_ALL_NSID; also the type of its control message
	NetlinkExtACK         = 11 // NETLINK_EXT_ACK

	SkMeminfoDrops = 8 // SK_MEMINFO_DROPS: index into SO_MEMINFO
)

// Extended acknowledgement attributes (NLMSGERR_ATTR_*).
const (
	NlmsgerrAttrMsg      = 1 // NLMSGERR_ATTR_MSG, string
	NlmsgerrAttrOffs     = 2 // NLMSGERR_ATTR_OFFS, u32
	NlmsgerrAttrPolicy   = 4 // NLMSGERR_ATTR_POLICY, nested
	NlmsgerrAttrMissType = 5 // NLMSGERR_ATTR_MISS_TYPE, u32, since 6.1
	NlmsgerrAttrMissNest = 6 // NLMSGERR_ATTR_MISS_NEST, u32
)
