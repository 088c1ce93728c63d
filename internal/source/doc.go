// Package source says what a source of facts is, and converts the readers' rows into
// the tracker's.
//
// A [Source] is a [track.Source] with a [View] of each namespace for the commands.
// There are two: the running kernel (package live) and a recording (package
// recording). None of them changes anything; what changes the kernel's state goes
// through pathmanager and sockdiag directly.
package source
