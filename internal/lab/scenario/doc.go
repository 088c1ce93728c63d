// Package scenario holds the lab's networks and faults as data.
//
// [Topologies] are networks that work. A [Scenario] is a network with traffic in which
// one thing is wrong, or nothing: its faults, the symptoms that the kernel must show,
// and the rule that doctor must name. The package describes; package procedure brings
// a scenario about.
package scenario
