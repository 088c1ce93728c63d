// Package bothends decides on the facts of two hosts or more what one of them alone cannot
// tell: whether the peer or the way between is the cause, and on which host to type what. It
// is pure, as package doctor is.
package bothends
