package uapi

// The constants of nf_tables (linux/netfilter.h, linux/netfilter/nf_tables.h,
// linux/netfilter/nf_tables_compat.h) that reading and judging rules needs. They are
// here, and not taken from golang.org/x/sys/unix, so that rules are judged on any
// system.

// Families of nf_tables (enum nfproto).
const (
	NfprotoInet = 1  // NFPROTO_INET
	NfprotoIPv4 = 2  // NFPROTO_IPV4
	NfprotoIPv6 = 10 // NFPROTO_IPV6

	NfprotoNetdev = 5 // NFPROTO_NETDEV
	NfprotoBridge = 7 // NFPROTO_BRIDGE
)

// Messages (enum nf_tables_msg_types).
const (
	NftMsgGetchain = 4 // NFT_MSG_GETCHAIN
	NftMsgGetrule  = 7 // NFT_MSG_GETRULE

	NftMsgGetset     = 10 // NFT_MSG_GETSET
	NftMsgGetsetelem = 13 // NFT_MSG_GETSETELEM
)

// Chains and their hooks (enum nft_chain_attributes, nft_hook_attributes).
const (
	NftaChainTable   = 1 // NFTA_CHAIN_TABLE
	NftaChainName    = 3 // NFTA_CHAIN_NAME
	NftaChainHook    = 4 // NFTA_CHAIN_HOOK
	NftaChainPolicy  = 5 // NFTA_CHAIN_POLICY
	NftaChainType    = 7 // NFTA_CHAIN_TYPE
	NftaHookHooknum  = 1 // NFTA_HOOK_HOOKNUM
	NftaHookPriority = 2 // NFTA_HOOK_PRIORITY
	NftaHookDev      = 3 // NFTA_HOOK_DEV
	NftaHookDevs     = 4 // NFTA_HOOK_DEVS
	NftaDeviceName   = 1 // NFTA_DEVICE_NAME
)

// Rules and their expressions (enum nft_rule_attributes, nft_expr_attributes).
const (
	NftaExprName        = 1 // NFTA_EXPR_NAME
	NftaExprData        = 2 // NFTA_EXPR_DATA
	NftaRuleTable       = 1 // NFTA_RULE_TABLE
	NftaRuleChain       = 2 // NFTA_RULE_CHAIN
	NftaRuleHandle      = 3 // NFTA_RULE_HANDLE
	NftaRuleExpressions = 4 // NFTA_RULE_EXPRESSIONS
)

// Values and verdicts (enum nft_data_attributes, nft_verdict_attributes).
const (
	NftaDataValue    = 1 // NFTA_DATA_VALUE
	NftaDataVerdict  = 2 // NFTA_DATA_VERDICT
	NftaVerdictCode  = 1 // NFTA_VERDICT_CODE
	NftaVerdictChain = 2 // NFTA_VERDICT_CHAIN
)

// Registers (enum nft_registers): four of 16 bytes, which are also sixteen of 4 bytes.
const (
	NftRegVerdict = 0  // NFT_REG_VERDICT
	NftReg1       = 1  // NFT_REG_1
	NftReg4       = 4  // NFT_REG_4
	NftReg3200    = 8  // NFT_REG32_00
	NftReg3215    = 23 // NFT_REG32_15
)

// The expression meta.
const (
	NftaMetaDreg   = 1  // NFTA_META_DREG
	NftaMetaKey    = 2  // NFTA_META_KEY
	NftMetaIifname = 6  // NFT_META_IIFNAME
	NftMetaOifname = 7  // NFT_META_OIFNAME
	NftMetaNfproto = 15 // NFT_META_NFPROTO
	NftMetaL4proto = 16 // NFT_META_L4PROTO

	NftaMetaSreg    = 3  // NFTA_META_SREG
	NftMetaProtocol = 1  // NFT_META_PROTOCOL
	NftMetaMark     = 3  // NFT_META_MARK
	NftMetaIif      = 4  // NFT_META_IIF
	NftMetaOif      = 5  // NFT_META_OIF
	NftMetaPkttype  = 19 // NFT_META_PKTTYPE
)

// The expression payload.
const (
	NftaPayloadDreg           = 1 // NFTA_PAYLOAD_DREG
	NftaPayloadBase           = 2 // NFTA_PAYLOAD_BASE
	NftaPayloadOffset         = 3 // NFTA_PAYLOAD_OFFSET
	NftaPayloadLen            = 4 // NFTA_PAYLOAD_LEN
	NftaPayloadSreg           = 5 // NFTA_PAYLOAD_SREG
	NftPayloadNetworkHeader   = 1 // NFT_PAYLOAD_NETWORK_HEADER
	NftPayloadTransportHeader = 2 // NFT_PAYLOAD_TRANSPORT_HEADER
)

// The expression exthdr: extension headers of IPv6 and options of TCP.
const (
	NftaExthdrDreg    = 1 // NFTA_EXTHDR_DREG
	NftaExthdrType    = 2 // NFTA_EXTHDR_TYPE
	NftaExthdrOffset  = 3 // NFTA_EXTHDR_OFFSET
	NftaExthdrLen     = 4 // NFTA_EXTHDR_LEN
	NftaExthdrFlags   = 5 // NFTA_EXTHDR_FLAGS
	NftaExthdrOp      = 6 // NFTA_EXTHDR_OP
	NftaExthdrSreg    = 7 // NFTA_EXTHDR_SREG
	NftExthdrFPresent = 1 // NFT_EXTHDR_F_PRESENT
	NftExthdrOpTcpopt = 1 // NFT_EXTHDR_OP_TCPOPT
)

// The expression ct.
const (
	NftaCTDreg = 1 // NFTA_CT_DREG
	NftaCTKey  = 2 // NFTA_CT_KEY
	NftaCTSreg = 4 // NFTA_CT_SREG
	NftCTState = 0 // NFT_CT_STATE

	NftCTDirection  = 1  // NFT_CT_DIRECTION
	NftCTMark       = 3  // NFT_CT_MARK
	NftCTHelper     = 6  // NFT_CT_HELPER
	NftCTL3Protocol = 7  // NFT_CT_L3PROTOCOL
	NftCTProtocol   = 10 // NFT_CT_PROTOCOL
	NftCTZone       = 17 // NFT_CT_ZONE
)

// The expression bitwise.
const (
	NftaBitwiseSreg = 1 // NFTA_BITWISE_SREG
	NftaBitwiseDreg = 2 // NFTA_BITWISE_DREG
	NftaBitwiseLen  = 3 // NFTA_BITWISE_LEN
	NftaBitwiseMask = 4 // NFTA_BITWISE_MASK
	NftaBitwiseXor  = 5 // NFTA_BITWISE_XOR
	NftaBitwiseOp   = 6 // NFTA_BITWISE_OP, since 5.6
	NftaBitwiseData = 7 // NFTA_BITWISE_DATA
)

// The expression fib.
const (
	NftaFibDreg   = 1 // NFTA_FIB_DREG
	NftaFibResult = 2 // NFTA_FIB_RESULT
	NftaFibFlags  = 3 // NFTA_FIB_FLAGS
)

// The expression byteorder.
const (
	NftaByteorderSreg = 1 // NFTA_BYTEORDER_SREG
	NftaByteorderDreg = 2 // NFTA_BYTEORDER_DREG
	NftaByteorderLen  = 4 // NFTA_BYTEORDER_LEN
	NftaByteorderSize = 5 // NFTA_BYTEORDER_SIZE
)

// Sets and their elements (enum nft_set_attributes, nft_set_desc_attributes,
// nft_set_elem_attributes), and the expressions lookup and dynset.
const (
	NftaSetTable         = 1     // NFTA_SET_TABLE
	NftaSetName          = 2     // NFTA_SET_NAME
	NftaSetFlags         = 3     // NFTA_SET_FLAGS
	NftaSetKeyLen        = 5     // NFTA_SET_KEY_LEN
	NftaSetDesc          = 9     // NFTA_SET_DESC
	NftaSetDescConcat    = 2     // NFTA_SET_DESC_CONCAT
	NftaSetFieldLen      = 1     // NFTA_SET_FIELD_LEN
	NftSetInterval       = 0x4   // NFT_SET_INTERVAL
	NftSetTimeout        = 0x10  // NFT_SET_TIMEOUT
	NftSetEval           = 0x20  // NFT_SET_EVAL
	NftSetExpr           = 0x100 // NFT_SET_EXPR
	NftaSetElemListTable = 1     // NFTA_SET_ELEM_LIST_TABLE
	NftaSetElemListSet   = 2     // NFTA_SET_ELEM_LIST_SET
	NftaSetElemList      = 3     // NFTA_SET_ELEM_LIST_ELEMENTS
	NftaSetElemKey       = 1     // NFTA_SET_ELEM_KEY
	NftaSetElemData      = 2     // NFTA_SET_ELEM_DATA
	NftaSetElemFlags     = 3     // NFTA_SET_ELEM_FLAGS
	NftaSetElemExpr      = 7     // NFTA_SET_ELEM_EXPR
	NftaSetElemKeyEnd    = 10    // NFTA_SET_ELEM_KEY_END
	NftaSetElemExprs     = 11    // NFTA_SET_ELEM_EXPRESSIONS
	NftSetElemEnd        = 1     // NFT_SET_ELEM_INTERVAL_END
	NftSetElemCatchall   = 2     // NFT_SET_ELEM_CATCHALL
	NftaLookupSet        = 1     // NFTA_LOOKUP_SET
	NftaLookupSreg       = 2     // NFTA_LOOKUP_SREG
	NftaLookupDreg       = 3     // NFTA_LOOKUP_DREG
	NftaLookupFlags      = 5     // NFTA_LOOKUP_FLAGS
	NftLookupFInv        = 1     // NFT_LOOKUP_F_INV
	NftaDynsetExpr       = 7     // NFTA_DYNSET_EXPR
	NftaDynsetExprs      = 10    // NFTA_DYNSET_EXPRESSIONS
	NftaObjrefImmType    = 1     // NFTA_OBJREF_IMM_TYPE
	NftObjectQuota       = 2     // NFT_OBJECT_QUOTA
	NftObjectCTHelper    = 3     // NFT_OBJECT_CT_HELPER
	NftObjectLimit       = 4     // NFT_OBJECT_LIMIT
	NftObjectConnlimit   = 5     // NFT_OBJECT_CONNLIMIT
	NftObjectSynproxy    = 10    // NFT_OBJECT_SYNPROXY
)

// The expressions cmp and range.
const (
	NftaCmpSreg       = 1 // NFTA_CMP_SREG
	NftaCmpOp         = 2 // NFTA_CMP_OP
	NftaCmpData       = 3 // NFTA_CMP_DATA
	NftaRangeSreg     = 1 // NFTA_RANGE_SREG
	NftaRangeOp       = 2 // NFTA_RANGE_OP
	NftaRangeFromData = 3 // NFTA_RANGE_FROM_DATA
	NftaRangeToData   = 4 // NFTA_RANGE_TO_DATA
	NftCmpEq          = 0 // NFT_CMP_EQ
	NftCmpNeq         = 1 // NFT_CMP_NEQ
	NftCmpLt          = 2 // NFT_CMP_LT
	NftCmpLte         = 3 // NFT_CMP_LTE
	NftCmpGt          = 4 // NFT_CMP_GT
	NftCmpGte         = 5 // NFT_CMP_GTE
	NftRangeEq        = 0 // NFT_RANGE_EQ
)

// The expression immediate.
const (
	NftaImmediateDreg = 1 // NFTA_IMMEDIATE_DREG
	NftaImmediateData = 2 // NFTA_IMMEDIATE_DATA
)

// The matches and targets of iptables.
const (
	NftaMatchName  = 1 // NFTA_MATCH_NAME
	NftaMatchInfo  = 3 // NFTA_MATCH_INFO
	NftaTargetName = 1 // NFTA_TARGET_NAME
	NftaTargetInfo = 3 // NFTA_TARGET_INFO
)
