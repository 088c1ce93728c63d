// Package rate makes rates of counters: the difference of two looks, by the time between them. It
// is pure, and the only place that does so for connections and subflows.
package rate
