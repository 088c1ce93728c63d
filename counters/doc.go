// Package counters reads what Linux counts and how it is set: the MPTCP and TCP
// counters of a network namespace, the net.mptcp sysctls and the per-device
// settings that decide whether a second path works. It knows what each MPTCP
// counter and sysctl means, and which of them mean trouble.
//
// Everything is read from the proc file system, without any privilege. The names
// of counters are discovered when they are read and kept in the kernel's order: a
// newer kernel's counters are returned like all others, only [Describe] may not
// know them.
//
// The counters belong to a network namespace. A [Reader] without a root reads
// those of the calling thread's namespace; lock the goroutine to its thread
// before you enter another one.
package counters
