// Package source joins the readers of the kernel (pathmanager, sockdiag,
// counters, hostnet) into what the tracker, the commands and the doctor ask for:
// snapshots, lookups, events. It is the only package that knows all of them.
//
// [Host] is one network namespace of the running kernel, [Hosts] all of them, and a
// [Recording] is what [Record] wrote of one. Each is a [track.Source], and gives the
// commands a [View] of each namespace. None of them writes: what changes the
// kernel's state goes through pathmanager and sockdiag directly.
package source
