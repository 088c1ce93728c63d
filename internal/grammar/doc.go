// Package grammar reads command lines of iproute2's shape: global options, an
// object, a verb, and keywords with values.
//
// One table of [Command] rows gives the parser, the usage texts, the shell
// completion and the manual pages, so that none of them can say what another does
// not. The package is pure: it knows no command, opens nothing and keeps no state.
//
// # Rules
//
// Objects and verbs may be shortened to any prefix; where several match, the first
// one in the table wins, as in iproute2. A table's order is therefore part of the
// program's interface. Global options stand in front of the object and, except in
// strict tables, after it too; each has iproute2's single-dash form and a
// double-dash one, and may be shortened in the same way. A command's own flags
// stand after its name, take GNU forms (-p 1, -p1, --port 1, --port=1, -lk), and
// come before global options of the same letter.
//
// An error about a word that is nothing of the table proposes what may have been meant
// ([mptcpctl/internal/proposal]).
package grammar
