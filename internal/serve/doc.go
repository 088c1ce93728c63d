// Package serve is the service behind `mptcpctl serve`: a tracker, and beside it the web
// server, the metrics, the findings of doctor, and what systemd is told. It opens all that
// needs a privilege, gives the privileges up, and runs until its context ends or one of
// its parts fails.
package serve
