package uapi

// Events on the group PMEventGroup: the generic netlink command of each message
// (enum mptcp_event_type). 4, 5, 8, 9, 12 and 14 are unused up to Linux 7.3.
const (
	EventUnspec          = 0  // MPTCP_EVENT_UNSPEC
	EventCreated         = 1  // MPTCP_EVENT_CREATED, since 5.12
	EventEstablished     = 2  // MPTCP_EVENT_ESTABLISHED, 5.12
	EventClosed          = 3  // MPTCP_EVENT_CLOSED, 5.12
	EventAnnounced       = 6  // MPTCP_EVENT_ANNOUNCED, 5.12
	EventRemoved         = 7  // MPTCP_EVENT_REMOVED, 5.12
	EventSubEstablished  = 10 // MPTCP_EVENT_SUB_ESTABLISHED, 5.12
	EventSubClosed       = 11 // MPTCP_EVENT_SUB_CLOSED, 5.12
	EventSubPriority     = 13 // MPTCP_EVENT_SUB_PRIORITY, 5.12
	EventListenerCreated = 15 // MPTCP_EVENT_LISTENER_CREATED, 6.2
	EventListenerClosed  = 16 // MPTCP_EVENT_LISTENER_CLOSED, 6.2
)

// Attributes of the events (enum mptcp_event_attr).
const (
	AttrUnspec      = 0  // MPTCP_ATTR_UNSPEC
	AttrToken       = 1  // MPTCP_ATTR_TOKEN, u32 in host order
	AttrFamily      = 2  // MPTCP_ATTR_FAMILY, u16
	AttrLocID       = 3  // MPTCP_ATTR_LOC_ID, u8
	AttrRemID       = 4  // MPTCP_ATTR_REM_ID, u8
	AttrSaddr4      = 5  // MPTCP_ATTR_SADDR4, 4 bytes in network order
	AttrSaddr6      = 6  // MPTCP_ATTR_SADDR6, 16 bytes
	AttrDaddr4      = 7  // MPTCP_ATTR_DADDR4, 4 bytes in network order
	AttrDaddr6      = 8  // MPTCP_ATTR_DADDR6, 16 bytes
	AttrSport       = 9  // MPTCP_ATTR_SPORT, u16 in network order
	AttrDport       = 10 // MPTCP_ATTR_DPORT, u16 in network order
	AttrBackup      = 11 // MPTCP_ATTR_BACKUP, u8: the peer's request for this subflow
	AttrError       = 12 // MPTCP_ATTR_ERROR, u8: errno of the subflow
	AttrFlags       = 13 // MPTCP_ATTR_FLAGS, u16 of PMEventFlag*
	AttrTimeout     = 14 // MPTCP_ATTR_TIMEOUT, u32; never emitted up to 7.3
	AttrIfIdx       = 15 // MPTCP_ATTR_IF_IDX, s32
	AttrResetReason = 16 // MPTCP_ATTR_RESET_REASON, u32 of Rst*
	AttrResetFlags  = 17 // MPTCP_ATTR_RESET_FLAGS, u32: the transient bit
	AttrServerSide  = 18 // MPTCP_ATTR_SERVER_SIDE, u8; since 5.19
)

// Flags of an event (MPTCP_PM_EV_FLAG_*), in AttrFlags.
const (
	PMEventFlagDenyJoinID0 = 1 << 0 // MPTCP_PM_EV_FLAG_DENY_JOIN_ID0, since 6.17
	PMEventFlagServerSide  = 1 << 1 // MPTCP_PM_EV_FLAG_SERVER_SIDE, 6.18
)

// Reset reason codes of MP_TCPRST (MPTCP_RST_*; RFC 8684 section 3.6).
const (
	RstUnspec    = 0 // MPTCP_RST_EUNSPEC
	RstMPTCP     = 1 // MPTCP_RST_EMPTCP
	RstResource  = 2 // MPTCP_RST_ERESOURCE
	RstProhibit  = 3 // MPTCP_RST_EPROHIBIT
	RstWq2Big    = 4 // MPTCP_RST_EWQ2BIG
	RstBadPerf   = 5 // MPTCP_RST_EBADPERF
	RstMiddlebox = 6 // MPTCP_RST_EMIDDLEBOX
)
