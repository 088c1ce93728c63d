package force

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// socketPair returns two ends that keep message boundaries, both close-on-exec.
func socketPair() (a, b int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("socket pair: %w", err)
	}
	return fds[0], fds[1], nil
}

// sendListener hands the listener to the supervisor, and whether callers are
// steady, without waiting for it: it
// stays in the socket's queue until the supervisor is there.
func sendListener(control, listener int, steady bool) error {
	data := []byte{0}
	if steady {
		data[0] = 1
	}
	for {
		err := unix.Sendmsg(control, data, unix.UnixRights(listener), nil, unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// receiveListener waits for the listener; an error if the other end goes first.
func receiveListener(control int) (listener int, steady bool, err error) {
	var data [1]byte
	oob := make([]byte, unix.CmsgSpace(4))
	for {
		n, oobn, _, _, err := unix.Recvmsg(control, data[:], oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return -1, false, err
		case n == 0:
			return -1, false, unix.EPIPE
		}
		listener, err = parseListener(oob[:oobn])
		return listener, data[0] == 1, err
	}
}

// parseListener takes the one descriptor out of a control message.
func parseListener(oob []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return -1, unix.EBADMSG
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, unix.EBADMSG
	}
	return fds[0], nil
}
