// Package doctor finds out why a connection has no second subflow and why it fell
// back to TCP. It knows no socket: facts in ([Facts]), findings out ([Diagnose]).
//
// Every rule is a small function over the facts, named by an id of the catalogue
// ([Rules], [Explain]). A finding names what it is about, how bad and how sure it
// is, the values that show it, and the commands that mend it. Where one cause
// explains another finding, only the cause is reported, with the evidence of both.
//
// Severity [Fail] means that something that was asked for does not work; [Warn]
// that it works worse than it could, or is about to fail; [Info] explains what may
// surprise and is no trouble. A host without failures and warnings is healthy.
//
// The counters of the kernel count since the namespace was made: what they say of
// the past is no trouble of today. So they make a finding by themselves only if
// they moved between the two readings of the facts; totals only help to explain a
// connection that is there.
//
// What could not be seen is said as it is ([Gap]), and no rule guesses in its
// place: a nil list of facts is unknown, an empty one is none.
package doctor
