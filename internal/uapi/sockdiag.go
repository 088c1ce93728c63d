package uapi

// Message types of NETLINK_SOCK_DIAG (linux/sock_diag.h).
const (
	TCPDiagGetSock   = 18 // TCPDIAG_GETSOCK (linux/inet_diag.h): TCP of both families
	SockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY
	SockDestroy      = 21 // SOCK_DESTROY, since 4.5
)

// Multicast groups of NETLINK_SOCK_DIAG (enum sknetlink_groups).
const (
	SknlgrpInetTCPDestroy  = 1 // SKNLGRP_INET_TCP_DESTROY
	SknlgrpInet6TCPDestroy = 3 // SKNLGRP_INET6_TCP_DESTROY
)

// Sizes of struct inet_diag_req_v2 and struct inet_diag_msg.
const (
	InetDiagReqV2Size = 56
	InetDiagMsgSize   = 72
)

// Request attributes of inet_diag (INET_DIAG_REQ_*).
const (
	InetDiagReqBytecode = 1 // INET_DIAG_REQ_BYTECODE
	InetDiagReqProtocol = 3 // INET_DIAG_REQ_PROTOCOL, u32: protocols over 255
)

// Response attributes of inet_diag (INET_DIAG_*). Attribute n is asked for by
// bit n-1 of idiag_ext.
const (
	InetDiagMeminfo   = 1  // INET_DIAG_MEMINFO
	InetDiagInfo      = 2  // INET_DIAG_INFO: tcp_info, or mptcp_info on an MPTCP socket
	InetDiagVegasinfo = 3  // INET_DIAG_VEGASINFO
	InetDiagCong      = 4  // INET_DIAG_CONG, string
	InetDiagTos       = 5  // INET_DIAG_TOS, u8
	InetDiagTclass    = 6  // INET_DIAG_TCLASS, u8
	InetDiagSkmeminfo = 7  // INET_DIAG_SKMEMINFO
	InetDiagShutdown  = 8  // INET_DIAG_SHUTDOWN, u8
	InetDiagDctcpinfo = 9  // INET_DIAG_DCTCPINFO, struct tcp_dctcp_info: asked for as VEGASINFO
	InetDiagProtocol  = 10 // INET_DIAG_PROTOCOL, u8
	InetDiagSkv6only  = 11 // INET_DIAG_SKV6ONLY, u8
	InetDiagMark      = 15 // INET_DIAG_MARK, u32, with CAP_NET_ADMIN
	InetDiagBbrinfo   = 16 // INET_DIAG_BBRINFO, struct tcp_bbr_info: asked for as VEGASINFO
	InetDiagClassID   = 17 // INET_DIAG_CLASS_ID, u32
	InetDiagUlpInfo   = 19 // INET_DIAG_ULP_INFO, nested InetUlpInfo*
	InetDiagCgroupID  = 21 // INET_DIAG_CGROUP_ID, u64
	InetDiagSockopt   = 22 // INET_DIAG_SOCKOPT
)

// Attributes in InetDiagUlpInfo (INET_ULP_INFO_*).
const (
	InetUlpInfoName  = 1 // INET_ULP_INFO_NAME, string
	InetUlpInfoTLS   = 2 // INET_ULP_INFO_TLS
	InetUlpInfoMPTCP = 3 // INET_ULP_INFO_MPTCP, nested SubflowAttr*
)

// ULPMPTCP is the upper layer protocol of subflows, as InetUlpInfoName has it
// (subflow_ulp_ops in net/mptcp/subflow.c).
const ULPMPTCP = "mptcp"

// States of a TCP or MPTCP socket (linux/tcp_states.h).
const (
	TCPEstablished = 1  // TCP_ESTABLISHED
	TCPSynSent     = 2  // TCP_SYN_SENT
	TCPSynRecv     = 3  // TCP_SYN_RECV
	TCPFinWait1    = 4  // TCP_FIN_WAIT1
	TCPFinWait2    = 5  // TCP_FIN_WAIT2
	TCPTimeWait    = 6  // TCP_TIME_WAIT
	TCPClose       = 7  // TCP_CLOSE
	TCPCloseWait   = 8  // TCP_CLOSE_WAIT
	TCPLastAck     = 9  // TCP_LAST_ACK
	TCPListen      = 10 // TCP_LISTEN
	TCPClosing     = 11 // TCP_CLOSING
	TCPNewSynRecv  = 12 // TCP_NEW_SYN_RECV
)

// Offsets in struct tcp_info (linux/tcp.h) of the fields that we read. The
// structure grows at its end: read a field only where the message reaches it.
const (
	TCPInfoState         = 0   // tcpi_state, u8
	TCPInfoCaState       = 1   // tcpi_ca_state, u8
	TCPInfoRetransmits   = 2   // tcpi_retransmits, u8
	TCPInfoBackoff       = 4   // tcpi_backoff, u8
	TCPInfoOptions       = 5   // tcpi_options, u8
	TCPInfoRTO           = 8   // tcpi_rto, u32 in us
	TCPInfoATO           = 12  // tcpi_ato, u32 in us
	TCPInfoSndMSS        = 16  // tcpi_snd_mss, u32
	TCPInfoRcvMSS        = 20  // tcpi_rcv_mss, u32
	TCPInfoUnacked       = 24  // tcpi_unacked, u32
	TCPInfoSacked        = 28  // tcpi_sacked, u32
	TCPInfoLost          = 32  // tcpi_lost, u32
	TCPInfoRetrans       = 36  // tcpi_retrans, u32
	TCPInfoLastDataSent  = 44  // tcpi_last_data_sent, u32 in ms
	TCPInfoLastDataRecv  = 52  // tcpi_last_data_recv, u32 in ms
	TCPInfoLastAckRecv   = 56  // tcpi_last_ack_recv, u32 in ms
	TCPInfoPMTU          = 60  // tcpi_pmtu, u32
	TCPInfoRcvSsthresh   = 64  // tcpi_rcv_ssthresh, u32
	TCPInfoRTT           = 68  // tcpi_rtt, u32 in us
	TCPInfoRTTVar        = 72  // tcpi_rttvar, u32 in us
	TCPInfoSndSsthresh   = 76  // tcpi_snd_ssthresh, u32
	TCPInfoSndCwnd       = 80  // tcpi_snd_cwnd, u32 in segments
	TCPInfoAdvMSS        = 84  // tcpi_advmss, u32
	TCPInfoRcvRTT        = 92  // tcpi_rcv_rtt, u32 in us
	TCPInfoTotalRetrans  = 100 // tcpi_total_retrans, u32
	TCPInfoPacingRate    = 104 // tcpi_pacing_rate, u64 in bytes/s
	TCPInfoBytesAcked    = 120 // tcpi_bytes_acked, u64
	TCPInfoBytesReceived = 128 // tcpi_bytes_received, u64
	TCPInfoSegsOut       = 136 // tcpi_segs_out, u32
	TCPInfoSegsIn        = 140 // tcpi_segs_in, u32
	TCPInfoMinRTT        = 148 // tcpi_min_rtt, u32 in us
	TCPInfoDeliveryRate  = 160 // tcpi_delivery_rate, u64 in bytes/s
	TCPInfoBusyTime      = 168 // tcpi_busy_time, u64 in us
	TCPInfoDelivered     = 192 // tcpi_delivered, u32
	TCPInfoBytesSent     = 200 // tcpi_bytes_sent, u64
	TCPInfoBytesRetrans  = 208 // tcpi_bytes_retrans, u64
	TCPInfoSndWnd        = 228 // tcpi_snd_wnd, u32
)

// Offsets in struct tcp_info of the fields that only a detailed request reads.
const (
	TCPInfoFlags              = 7   // bit 0: tcpi_delivery_rate_app_limited
	TCPInfoReordering         = 88  // tcpi_reordering, u32 in segments
	TCPInfoRcvSpace           = 96  // tcpi_rcv_space, u32 in bytes
	TCPInfoMaxPacingRate      = 112 // tcpi_max_pacing_rate, u64 in bytes/s
	TCPInfoNotSentBytes       = 144 // tcpi_notsent_bytes, u32
	TCPInfoDataSegsIn         = 152 // tcpi_data_segs_in, u32
	TCPInfoDataSegsOut        = 156 // tcpi_data_segs_out, u32
	TCPInfoRwndLimited        = 176 // tcpi_rwnd_limited, u64 in us
	TCPInfoSndbufLimited      = 184 // tcpi_sndbuf_limited, u64 in us
	TCPInfoDeliveredCE        = 196 // tcpi_delivered_ce, u32 in segments
	TCPInfoDSACKDups          = 216 // tcpi_dsack_dups, u32
	TCPInfoReordSeen          = 220 // tcpi_reord_seen, u32
	TCPInfoRcvOooPack         = 224 // tcpi_rcv_ooopack, u32
	TCPInfoRcvWnd             = 232 // tcpi_rcv_wnd, u32 in bytes, since 6.2
	TCPInfoRehash             = 236 // tcpi_rehash, u32, since 6.2
	TCPInfoTotalRTO           = 240 // tcpi_total_rto, u16, since 6.7
	TCPInfoTotalRTORecoveries = 242 // tcpi_total_rto_recoveries, u16, since 6.7
	TCPInfoTotalRTOTime       = 244 // tcpi_total_rto_time, u32 in ms, since 6.7
)

// Places in the array of u32 that INET_DIAG_SKMEMINFO consists of.
const (
	SkMeminfoRmemAlloc  = 0 // SK_MEMINFO_RMEM_ALLOC
	SkMeminfoRcvbuf     = 1 // SK_MEMINFO_RCVBUF
	SkMeminfoWmemAlloc  = 2 // SK_MEMINFO_WMEM_ALLOC
	SkMeminfoSndbuf     = 3 // SK_MEMINFO_SNDBUF
	SkMeminfoWmemQueued = 5 // SK_MEMINFO_WMEM_QUEUED
	SkMeminfoBacklog    = 7 // SK_MEMINFO_BACKLOG
)
