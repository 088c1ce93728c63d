// Package web serves the live state over HTTP: a page, a JSON API with
// server-sent events, metrics, and the probes of service managers. It only reads.
//
// # Bounds
//
// The memory that clients can make the server hold is bounded by constants, and tested
// with a thousand clients that ask for much and read nothing: a server of 1,200
// connections stays below 128 MiB, and others have their answers within a second.
//
//   - Answers are made 16 at a time; 64 more requests wait for up to a second, 40 of all
//     of them from one client address. Others are answered with 503 and Retry-After.
//   - Lists of connections are sent row by row from an immutable state. A list counts as
//     48 kB, any other answer as its size; all that are being sent may hold 16 MiB. When
//     there is more, the one that has been under way for longest is cut off. So are lists
//     of a state that three newer ones have been made of since.
//   - The text of the metrics is made at most ten times a second, and shared by all scrapes
//     that it answers.
//   - Open connections are limited, to 1,024: when there are too many, the oldest of those
//     that wait without a request is closed; where there is none, the one whose request
//     has been under way for longest, if that is more than two seconds. The kernel holds
//     64 kB (128 kB by its own count) for each to send.
//   - Requests with a body are refused and their connections closed; the body is not read.
//   - Events are rendered once and kept in one ring for all streams. A stream is a place
//     in that ring, so that a slow reader costs nothing and is told how many events it
//     missed, and one that does not read at all is cut off by a deadline. There are 128
//     streams, a quarter of them for one client address.
//   - The samples of single connections are kept for the few that somebody looks at.
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
