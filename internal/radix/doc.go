// Package radix sorts long lists by keys of 96 bits, byte by byte, which takes a fraction of
// the time that comparing takes. What the keys do not tell a comparison decides.
package radix
