// Package match finds the two ends of each connection among those of two hosts, and of each
// subflow among those of two ends. It is pure.
package match
