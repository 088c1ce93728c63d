// Package filter is the expression language that picks connections and events:
// the words of ss, and some of MPTCP's own.
//
//	state established and ( dport = :443 or dst 10.0.0.0/8 ) and not fallback
//
// # Grammar
//
//	expr  = and { ( "or" | "||" ) and }
//	and   = not { [ "and" | "&&" ] not }
//	not   = ( "not" | "!" ) not | "(" expr ")" | term
//
// A term is a word of [Terms] and its argument. Names of states, events, reasons,
// errors and tokens may be several, separated by commas: any of them will do.
// Where a term takes a value, "=", "==" and "eq" may stand before it, and "!=" and
// "ne" negate it; ports and numbers of subflows are also compared with "<", "lt",
// "<=", "le", ">", "gt", ">=" and "ge". As with ss, `state A state B` side by side
// means either, and `exclude A` all but A. A value with blanks or signs goes in
// quotes.
//
// # What matches
//
// Addresses, ports, devices, backup and ids are those of subflows: such a term
// matches a connection if the connection's own addresses match, or those of any
// subflow. Each term is judged for itself: `src 10.0.0.1 and dport 443` is true of
// a connection with one subflow from 10.0.0.1 and another one to port 443. "!=" is
// the negation of the whole: `dport != 443` means that no subflow has that port.
// v4-mapped addresses are IPv4, in the expression and in what it is compared with.
//
// An event is judged by what it carries; what it does not carry is taken from its
// connection, where the caller knows it ([Expr.EventOf]); so is an event that a
// tracker derived ([Expr.Delta]), under its own name. What neither answers is
// unknown, as in SQL: the negation of unknown is unknown, `and` and `or` need it
// only where the other side does not decide, and an expression that stays unknown
// does not match. The event of a listener is judged as the listener is: it has no
// peer, no token and no subflow. A loss in the stream always matches.
package filter
