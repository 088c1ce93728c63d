package mptcp

import (
	"strconv"
	"syscall"
)

// ResetReason is the reason code of an MP_TCPRST option (RFC 8684 section 3.6).
type ResetReason uint32

// The reason codes of RFC 8684.
const (
	ResetUnspecified        ResetReason = 0
	ResetMPTCP              ResetReason = 1
	ResetResources          ResetReason = 2
	ResetProhibited         ResetReason = 3
	ResetTooMuchOutstanding ResetReason = 4
	ResetBadPerformance     ResetReason = 5
	ResetMiddlebox          ResetReason = 6
)

// String returns a short name of the reason in words of RFC 8684.
func (r ResetReason) String() string {
	switch r {
	case ResetUnspecified:
		return "unspecified"
	case ResetMPTCP:
		return "mptcp"
	case ResetResources:
		return "resources"
	case ResetProhibited:
		return "prohibited"
	case ResetTooMuchOutstanding:
		return "outstanding"
	case ResetBadPerformance:
		return "performance"
	case ResetMiddlebox:
		return "middlebox"
	}
	return "reason " + strconv.FormatUint(uint64(r), 10)
}

// Explain returns what the reason means, in one phrase.
func (r ResetReason) Explain() string {
	switch r {
	case ResetUnspecified:
		return "the peer gave no reason"
	case ResetMPTCP:
		return "MPTCP-specific error at the peer"
	case ResetResources:
		return "the peer lacks resources for this subflow"
	case ResetProhibited:
		return "the peer's policy prohibits this subflow"
	case ResetTooMuchOutstanding:
		return "too much data was outstanding on this subflow"
	case ResetBadPerformance:
		return "the peer found this subflow's performance too low"
	case ResetMiddlebox:
		return "the peer saw a middlebox interfere with MPTCP"
	}
	return "a reason that RFC 8684 does not define"
}

// Errno is an error number of the kernel.
type Errno uint8

// Error returns the error's text, as strerror does.
func (e Errno) Error() string { return syscall.Errno(e).Error() }

// Unwrap returns the [syscall.Errno], so that errors.Is works with it.
func (e Errno) Unwrap() error { return syscall.Errno(e) }

// Name returns the C name of the error numbers that end subflows, such as
// "ECONNREFUSED", and "errno N" for others.
func (e Errno) Name() string {
	if name, ok := ErrnoName(syscall.Errno(e)); ok {
		return name
	}
	return "errno " + strconv.Itoa(int(e))
}
