// Package dump makes connections with subflows of the kernel's dumps. A [Snapshot] is what
// the dumps of one network namespace said at about one moment: sockets, and the links,
// addresses, routes and endpoints around them. [Join] ties the subflows to their connections
// and fills in what only the two together tell: the initial subflow, the side, the device,
// the state. A [Listing] does the same in little memory, for long lists.
//
// Everything here is pure: the package opens no socket and keeps no state between snapshots.
package dump
