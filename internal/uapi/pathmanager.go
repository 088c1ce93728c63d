// Package uapi holds the Linux kernel's numbers and layouts for Multipath TCP,
// each with the name that it has in the kernel.
//
// It is pure: constants and a few constant-time accessors, no I/O, no state.
// The values come from include/uapi/linux/mptcp.h, mptcp_pm.h, inet_diag.h,
// sock_diag.h and tcp.h (Linux 7.3); a test compares them with the header of
// the machine that it runs on where there is one.
package uapi

// The generic netlink family of the path manager (MPTCP_PM_NAME and friends).
// Its numeric id and those of its groups are assigned at boot: resolve them by
// name.
const (
	PMFamily       = "mptcp_pm"        // MPTCP_PM_NAME
	PMVersion      = 1                 // MPTCP_PM_VER
	PMCommandGroup = "mptcp_pm_cmds"   // MPTCP_PM_CMD_GRP_NAME
	PMEventGroup   = "mptcp_pm_events" // MPTCP_PM_EV_GRP_NAME
)

// Commands of the family (MPTCP_PM_CMD_*).
const (
	PMCmdUnspec         = 0  // MPTCP_PM_CMD_UNSPEC
	PMCmdAddAddr        = 1  // MPTCP_PM_CMD_ADD_ADDR, since Linux 5.7
	PMCmdDelAddr        = 2  // MPTCP_PM_CMD_DEL_ADDR, 5.7
	PMCmdGetAddr        = 3  // MPTCP_PM_CMD_GET_ADDR, 5.7; with a token 6.10
	PMCmdFlushAddrs     = 4  // MPTCP_PM_CMD_FLUSH_ADDRS, 5.7
	PMCmdSetLimits      = 5  // MPTCP_PM_CMD_SET_LIMITS, 5.7
	PMCmdGetLimits      = 6  // MPTCP_PM_CMD_GET_LIMITS, 5.7
	PMCmdSetFlags       = 7  // MPTCP_PM_CMD_SET_FLAGS, 5.12; with a token 5.19
	PMCmdAnnounce       = 8  // MPTCP_PM_CMD_ANNOUNCE, 5.19
	PMCmdRemove         = 9  // MPTCP_PM_CMD_REMOVE, 5.19
	PMCmdSubflowCreate  = 10 // MPTCP_PM_CMD_SUBFLOW_CREATE, 5.19
	PMCmdSubflowDestroy = 11 // MPTCP_PM_CMD_SUBFLOW_DESTROY, 5.19
)

// Top-level attributes of the commands (MPTCP_PM_ATTR_*).
const (
	PMAttrUnspec      = 0 // MPTCP_PM_ATTR_UNSPEC
	PMAttrAddr        = 1 // MPTCP_PM_ATTR_ADDR, nested PMAddrAttr*
	PMAttrRcvAddAddrs = 2 // MPTCP_PM_ATTR_RCV_ADD_ADDRS, u32
	PMAttrSubflows    = 3 // MPTCP_PM_ATTR_SUBFLOWS, u32
	PMAttrToken       = 4 // MPTCP_PM_ATTR_TOKEN, u32 in host order
	PMAttrLocID       = 5 // MPTCP_PM_ATTR_LOC_ID, u8
	PMAttrAddrRemote  = 6 // MPTCP_PM_ATTR_ADDR_REMOTE, nested PMAddrAttr*
)

// Attributes of a nested address (MPTCP_PM_ADDR_ATTR_*).
const (
	PMAddrAttrUnspec = 0 // MPTCP_PM_ADDR_ATTR_UNSPEC
	PMAddrAttrFamily = 1 // MPTCP_PM_ADDR_ATTR_FAMILY, u16
	PMAddrAttrID     = 2 // MPTCP_PM_ADDR_ATTR_ID, u8
	PMAddrAttrAddr4  = 3 // MPTCP_PM_ADDR_ATTR_ADDR4, 4 bytes in network order
	PMAddrAttrAddr6  = 4 // MPTCP_PM_ADDR_ATTR_ADDR6, 16 bytes
	PMAddrAttrPort   = 5 // MPTCP_PM_ADDR_ATTR_PORT, u16 in host order, unlike in events
	PMAddrAttrFlags  = 6 // MPTCP_PM_ADDR_ATTR_FLAGS, u32
	PMAddrAttrIfIdx  = 7 // MPTCP_PM_ADDR_ATTR_IF_IDX, s32
)

// Flags of an endpoint (MPTCP_PM_ADDR_FLAG_*).
const (
	PMAddrFlagSignal   = 1 << 0 // MPTCP_PM_ADDR_FLAG_SIGNAL, since 5.7
	PMAddrFlagSubflow  = 1 << 1 // MPTCP_PM_ADDR_FLAG_SUBFLOW, 5.7
	PMAddrFlagBackup   = 1 << 2 // MPTCP_PM_ADDR_FLAG_BACKUP, 5.7
	PMAddrFlagFullmesh = 1 << 3 // MPTCP_PM_ADDR_FLAG_FULLMESH, 5.15
	PMAddrFlagImplicit = 1 << 4 // MPTCP_PM_ADDR_FLAG_IMPLICIT, 5.18, set by the kernel only
	PMAddrFlagLaminar  = 1 << 5 // MPTCP_PM_ADDR_FLAG_LAMINAR, 6.18
)
