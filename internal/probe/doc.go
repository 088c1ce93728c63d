// Package probe makes single connections for a trial, over MPTCP or plain TCP, from
// a given address and device, and says what came of each: how long it took, what is
// spoken, or how it failed. It sends nothing by itself.
package probe
