// Package bundle writes and reads bundles of doctor: one file (tar.gz) with the facts,
// the findings and a recording, for others to look at. It can hide addresses and names
// in the facts, each always behind the same other one, so that all that doctor compares
// stays as it was.
package bundle
