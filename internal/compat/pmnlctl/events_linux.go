package pmnlctl

import (
	"bufio"
	"context"
	"time"

	"mptcpctl/internal/compat"
	"mptcpctl/internal/pace"
	"mptcpctl/pathmanager"

	"golang.org/x/sys/unix"
)

// tapEvents returns a function that writes each message as the helper does, in
// the order of its attributes: an Event does not keep that.
func tapEvents(out *bufio.Writer) func(time.Time, int32, []byte) {
	var line []byte
	return func(_ time.Time, _ int32, msg []byte) {
		line = appendEvent(line[:0], msg)
		out.Write(line) // the error stays with out until Flush
	}
}

// events prints a line for each message on stderr, at once, until it is killed.
func (h *Program) events(ctx context.Context, _ []string) error {
	out := bufio.NewWriter(h.Stderr)
	listener, err := pathmanager.Listen(&pathmanager.ListenConfig{Tap: tapEvents(out)})
	if err != nil {
		return complain("could not join the mptcp_pm_events mcast group: %v", compat.CError(err))
	}
	defer listener.Close()
	for _, err := range listener.Batches(pace.With(ctx, pace.Pace{Coalesce: -1})) {
		if err != nil {
			return complain("error on recv() from NL socket: %v", err)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// listen opens an MPTCP listener and waits for a signal. Where the address cannot
// be had it ends at once and, like the helper, without a word.
func (h *Program) listen(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return errSyntax
	}
	address, err := parseAddress(args[0])
	if err != nil {
		return err
	}
	port := int(uint16(atoi(args[1])))
	family, bound := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Port: port, Addr: address.As16()})
	if address.Is4() {
		family, bound = unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: address.As4()}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err != nil {
		return complain("can't create listener sock: %v", compat.CError(err))
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return complain("can't set SO_REUSEADDR on listener sock: %v", compat.CError(err))
	}
	if unix.Bind(fd, bound) != nil || unix.Listen(fd, 30) != nil {
		return nil
	}
	<-ctx.Done()
	return nil
}
