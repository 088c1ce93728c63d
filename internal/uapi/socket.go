package uapi

// Protocol, level and options of an MPTCP socket.
const (
	IPPROTO_MPTCP = 262 // IPPROTO_MPTCP, since Linux 5.6
	SOL_MPTCP     = 284 // SOL_MPTCP

	SockoptInfo         = 1  // MPTCP_INFO, since 5.16
	SockoptTCPInfo      = 2  // MPTCP_TCPINFO, 5.16
	SockoptSubflowAddrs = 3  // MPTCP_SUBFLOW_ADDRS, 5.16
	SockoptFullInfo     = 4  // MPTCP_FULL_INFO, 6.5
	TCPIsMPTCP          = 43 // TCP_IS_MPTCP (level IPPROTO_TCP), 6.10
)

// Flags in mptcp_info.mptcpi_flags.
const (
	InfoFlagFallback          = 1 << 0 // MPTCP_INFO_FLAG_FALLBACK
	InfoFlagRemoteKeyReceived = 1 << 1 // MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED
)

// Offsets in struct mptcp_info. The structure grew: 40 bytes in 5.9, 48 in 5.12,
// 80 in 6.5, 88 in 6.8, 96 in 6.10. Bytes in between were reserved before they
// got a meaning, so a length never proves that a field is known to the kernel.
const (
	InfoSubflows           = 0  // mptcpi_subflows, u8: additional subflows, pending ones included
	InfoAddAddrSignal      = 1  // mptcpi_add_addr_signal, u8
	InfoAddAddrAccepted    = 2  // mptcpi_add_addr_accepted, u8
	InfoSubflowsMax        = 3  // mptcpi_subflows_max, u8
	InfoAddAddrSignalMax   = 4  // mptcpi_add_addr_signal_max, u8
	InfoAddAddrAcceptedMax = 5  // mptcpi_add_addr_accepted_max, u8
	InfoFlags              = 8  // mptcpi_flags, u32
	InfoToken              = 12 // mptcpi_token, u32
	InfoWriteSeq           = 16 // mptcpi_write_seq, u64
	InfoSndUna             = 24 // mptcpi_snd_una, u64
	InfoRcvNxt             = 32 // mptcpi_rcv_nxt, u64
	InfoLocalAddrUsed      = 40 // mptcpi_local_addr_used, u8, since 5.12
	InfoLocalAddrMax       = 41 // mptcpi_local_addr_max, u8, 5.12
	InfoCsumEnabled        = 42 // mptcpi_csum_enabled, u8, 5.14
	InfoRetransmits        = 44 // mptcpi_retransmits, u32, 6.5
	InfoBytesRetrans       = 48 // mptcpi_bytes_retrans, u64, 6.5
	InfoBytesSent          = 56 // mptcpi_bytes_sent, u64, 6.5
	InfoBytesReceived      = 64 // mptcpi_bytes_received, u64, 6.5
	InfoBytesAcked         = 72 // mptcpi_bytes_acked, u64, 6.5
	InfoSubflowsTotal      = 80 // mptcpi_subflows_total, u8, 6.8
	InfoEndpLaminarMax     = 81 // mptcpi_endp_laminar_max, u8, 6.18
	InfoEndpFullmeshMax    = 82 // mptcpi_endp_fullmesh_max, u8, 6.19
	InfoLastDataSent       = 84 // mptcpi_last_data_sent, u32 in ms, 6.10
	InfoLastDataRecv       = 88 // mptcpi_last_data_recv, u32 in ms, 6.10
	InfoLastAckRecv        = 92 // mptcpi_last_ack_recv, u32 in ms, 6.10
)

// Attributes of a subflow in INET_DIAG_ULP_INFO (MPTCP_SUBFLOW_ATTR_*).
const (
	SubflowAttrTokenRem    = 1  // MPTCP_SUBFLOW_ATTR_TOKEN_REM, u32: non-zero only on joins made here
	SubflowAttrTokenLoc    = 2  // MPTCP_SUBFLOW_ATTR_TOKEN_LOC, u32: the connection's token
	SubflowAttrRelwriteSeq = 3  // MPTCP_SUBFLOW_ATTR_RELWRITE_SEQ, u32, with CAP_NET_ADMIN
	SubflowAttrMapSeq      = 4  // MPTCP_SUBFLOW_ATTR_MAP_SEQ, u64, with CAP_NET_ADMIN
	SubflowAttrMapSfseq    = 5  // MPTCP_SUBFLOW_ATTR_MAP_SFSEQ, u32, with CAP_NET_ADMIN
	SubflowAttrSsnOffset   = 6  // MPTCP_SUBFLOW_ATTR_SSN_OFFSET, u32, with CAP_NET_ADMIN
	SubflowAttrMapDatalen  = 7  // MPTCP_SUBFLOW_ATTR_MAP_DATALEN, u16, with CAP_NET_ADMIN
	SubflowAttrFlags       = 8  // MPTCP_SUBFLOW_ATTR_FLAGS, u32 of SubflowFlag*
	SubflowAttrIDRem       = 9  // MPTCP_SUBFLOW_ATTR_ID_REM, u8
	SubflowAttrIDLoc       = 10 // MPTCP_SUBFLOW_ATTR_ID_LOC, u8
)

// Flags of a subflow (MPTCP_SUBFLOW_FLAG_*), in SubflowAttrFlags.
const (
	SubflowFlagMcapRem          = 1 << 0 // MPTCP_SUBFLOW_FLAG_MCAP_REM, letter M
	SubflowFlagMcapLoc          = 1 << 1 // MPTCP_SUBFLOW_FLAG_MCAP_LOC, letter m
	SubflowFlagJoinRem          = 1 << 2 // MPTCP_SUBFLOW_FLAG_JOIN_REM, letter J
	SubflowFlagJoinLoc          = 1 << 3 // MPTCP_SUBFLOW_FLAG_JOIN_LOC, letter j
	SubflowFlagBkupRem          = 1 << 4 // MPTCP_SUBFLOW_FLAG_BKUP_REM, letter B
	SubflowFlagBkupLoc          = 1 << 5 // MPTCP_SUBFLOW_FLAG_BKUP_LOC, letter b
	SubflowFlagFullyEstablished = 1 << 6 // MPTCP_SUBFLOW_FLAG_FULLY_ESTABLISHED, letter e
	SubflowFlagConnected        = 1 << 7 // MPTCP_SUBFLOW_FLAG_CONNECTED, letter c
	SubflowFlagMapvalid         = 1 << 8 // MPTCP_SUBFLOW_FLAG_MAPVALID, letter v
)
