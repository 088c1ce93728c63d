// Package slow tells what limits the rate of connections, and what would help: the family S of
// doctor's rules. It is pure: looks go in, which a caller takes some hundred milliseconds apart,
// labels and findings come out.
//
// With MPTCP the figures by which TCP is judged mislead. Where the window at the peer limits a
// connection, its subflows say sndbuf_limited and not rwnd_limited, and the bit
// delivery_rate_app_limited says nothing (measured on Linux 6.18). What decides is how much the
// process has written that no subflow has got yet, whether the queue of each subflow is empty,
// and whether its congestion window has room. These jump, so that single looks prove nothing:
// a label is what held in most of the looks.
//
// Only the host that sends can be sure of most causes. Of a connection that receives, the rules
// say what this host holds back, and leave the rest to the sending host.
package slow
