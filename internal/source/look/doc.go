// Package look takes the looks at connections that doctor/slow judges: it finds the connections
// that carry most, and asks the kernel about them and their subflows again and again. However
// many connections there are, only a few are looked at more than twice.
package look
