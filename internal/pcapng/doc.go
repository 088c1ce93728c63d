// Package pcapng writes and reads the part of the pcapng file format that
// recordings of netlink messages need: one section, its interfaces, and packets
// with nanosecond times. Wireshark opens what it writes.
//
// It is pure: bytes in, values out. Blocks and options that it does not know are
// passed over, as the format asks for. A file that ends in the middle of a block,
// as after a power loss, is good up to the last whole block.
package pcapng
