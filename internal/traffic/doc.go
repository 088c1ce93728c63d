// Package traffic adds up what subflows carry between the devices of this host and its
// peers: over the last seconds as a map, and over the last minutes as one point for each
// device. It is pure: states of a tracker go in, sums come out, and how much they take does
// not depend on the number of connections.
package traffic
