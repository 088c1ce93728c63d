package mptcp

import "errors"

// The errors that all packages of the module share; compare with [errors.Is].
// Missing objects, objects that exist already and refused privileges are
// [io/fs.ErrNotExist], [io/fs.ErrExist] and [io/fs.ErrPermission].
var (
	// ErrNotSupported: this kernel has no MPTCP, or not the asked feature.
	ErrNotSupported = errors.New("not supported by this kernel")
	// ErrTooMany: a table of the kernel is full.
	ErrTooMany = errors.New("too many")
	// ErrDisabled: the kernel has MPTCP, and net.mptcp.enabled is 0.
	ErrDisabled = errors.New("MPTCP is disabled (net.mptcp.enabled=0)")
)
