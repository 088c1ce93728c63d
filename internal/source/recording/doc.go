// Package recording reads and writes recordings: what the kernel said of network
// namespaces, in a file of packets with times (docs/recording.md).
//
// [Open] reads a file. The [Recording] is a [track.Recording] with its own clock, and
// gives the commands a view of each namespace, decoded with the readers' own decoders.
// The package opens no socket and works on any system. What a recording holds is
// foreign: it is checked like anything that comes from the network.
package recording
