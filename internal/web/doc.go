// Package web serves the live state over HTTP: a page, a JSON API with
// server-sent events, metrics, and the probes of service managers. It only reads.
//
// # Bounds
//
// Nothing that a client does makes the server hold more. Events are rendered once
// and kept in one ring for all streams; a stream is a place in that ring, so that
// a slow reader costs nothing and is told how many events it missed, and one that
// does not read at all is cut off by a deadline. Open connections are limited:
// when there are too many, the oldest of those that wait without a request are
// closed, never one that is being answered. The samples of single connections are
// kept for the few that somebody looks at.
//
// # Trust
//
// On the loopback address everybody on the host may read. On any other address the
// caller must have given a token or asked for client certificates ([CheckExposure]).
// The name in the Host header must be an address, localhost, or a name that the
// caller listed: a page of somebody else's that makes its name point here
// (DNS rebinding) gets nothing. Requests that a page of another origin sends are
// refused. Strings that others chose reach the page as text, and its content
// policy allows no script, style or connection but the server's own.
package web
