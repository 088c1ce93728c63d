// Package lab makes hosts out of network namespaces and joins them with virtual
// Ethernet, so that real kernel MPTCP can be shown, broken and tested on one
// machine: the `lab` command and every kernel test stand on it.
//
// Namespaces live only as open descriptors: when the process ends, however it
// ends, the kernel removes them with their links and addresses. Nothing is left
// behind, not even processes: those that a lab starts die with it. A [Topology] is
// data, [Build] makes it, [Serve] and [Connect] hold traffic in it, and a host's
// SetFirewall breaks it. Networks and faults at hand are in package scenario; package
// procedure carries them out. Where the caller is not root, [Enter] starts the program
// again in a user namespace of its own.
package lab
