// Package opener is a small process that stays what the server gives up to be: it may look
// into other processes, and answers one question, which of them hold given sockets. It
// reads nothing from the network, and understands nothing but numbers of sockets.
//
// The server starts it from its own program file before it confines itself. It ends with the
// server, because its end of the socket between them is then closed.
package opener
