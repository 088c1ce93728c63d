// Package procedure carries out what a lab is built for, step by step.
//
// [Run] is Red Hat's procedure for monitoring subflows: it runs the tool in the hosts
// as a user would type it, and a checker compares what is seen with what the
// procedure promises. [Start] brings a scenario about: network, settings, traffic and
// faults, until the kernel shows the symptoms; the result is a [Trial].
package procedure
