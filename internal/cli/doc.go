// Package cli holds the commands of mptcpctl. It is the only place that wires
// readers, state and faces together.
//
// A command is a row of [grammar.Command]: its texts and its grammar beside the
// function that carries it out. (*app).commands lists the rows; nothing registers
// itself. A row is built only when its name is on the command line.
//
// What was asked for goes to Stdout, everything else to Stderr. A command returns
// an error and prints none: (*app).report gives it the program's name, what to do
// about it, and the exit code. Codes are 0 done, 1 failed, 2 wrong usage; in rows
// with IPRoute set they are iproute2's: 2 refused by the kernel, 255 wrong usage.
//
// Called as ip-mptcp or pm_nl_ctl, the program takes those tools' command lines
// and answers in their words.
package cli
