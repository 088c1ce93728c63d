// Package doctor finds out why a connection has no second subflow, and why a connection
// fell back to TCP. It opens no socket: facts go in ([Facts]), findings come out
// ([Diagnose]).
//
// Every rule is a small function over the facts, named by an id of the catalogue (package
// [mptcpctl/doctor/rule]). A finding names its subject, its severity, its confidence, the
// values that show it, and the commands that fix it. If one cause explains another finding,
// only the cause is reported, with the evidence of both.
//
// Severity [Fail] means that something that was asked for does not work; [Warn] that it
// works worse than it could, or is about to fail; [Info] explains what may surprise, and is
// no trouble. A host without failures and warnings is healthy.
//
// The kernel counts since the namespace was created, so a counter may tell of a trouble that
// is long over. A counter makes a finding by itself only if it moved between two readings of
// the facts; totals only help to explain a connection that exists now.
//
// Facts that could not be read are reported as a [Gap], and no rule guesses them: a nil list
// is unknown, an empty list is known to be empty.
package doctor
