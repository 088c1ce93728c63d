// Package monitor prints the path manager's events as they come: a [Stream] is where they
// come from, a [Printer] writes them in one of their forms, a [Context] knows the
// connections of the tokens that events carry, and a tracker adds the events that the
// kernel does not announce.
package monitor
