// Package live reads the running kernel: it joins the readers (pathmanager, sockdiag,
// counters, hostnet) into what the tracker, the commands and doctor ask for. It is the
// only package that knows all of them.
//
// [Host] is one network namespace, [Hosts] all of them; each is a [source.Source].
// [Record] writes what the kernel says to a file, which package recording reads.
// Nothing here writes to the kernel: what changes its state goes through pathmanager
// and sockdiag directly.
package live
