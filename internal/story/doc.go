// Package story tells the life of one connection: a lane for each subflow, with the
// states that it went through and what happened to it, and how the connection ended.
// It is made of a tracker's state by pure functions. The terminal view draws it, and
// the web server gives it to its page as JSON.
//
// Texts hold foreign words, such as names of devices: escape them before showing.
package story
