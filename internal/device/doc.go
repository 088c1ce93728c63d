// Package device names the network devices of the calling thread's namespace and finds
// them by name, with one system call each: a dump of all devices would cost more than the
// rest of a command. Like iproute2 it writes "ifN" for a device N that is gone.
package device
