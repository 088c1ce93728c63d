package uapi

// Operations of the filter programs in InetDiagReqBytecode (INET_DIAG_BC_*).
const (
	InetDiagBcNop     = 0 // INET_DIAG_BC_NOP
	InetDiagBcJmp     = 1 // INET_DIAG_BC_JMP
	InetDiagBcSGe     = 2 // INET_DIAG_BC_S_GE: source port >= that of the next operation's "no"
	InetDiagBcSLe     = 3 // INET_DIAG_BC_S_LE
	InetDiagBcDGe     = 4 // INET_DIAG_BC_D_GE
	InetDiagBcDLe     = 5 // INET_DIAG_BC_D_LE
	InetDiagBcSCond   = 7 // INET_DIAG_BC_S_COND: source address in struct inet_diag_hostcond
	InetDiagBcDCond   = 8 // INET_DIAG_BC_D_COND
	InetDiagBcDevCond = 9 // INET_DIAG_BC_DEV_COND: bound to the device, u32 index
)
