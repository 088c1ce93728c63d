package apply

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// hostChanges returns a channel on which something arrives when the kernel tells
// that links or addresses changed, and at the interval in any case. What exactly
// changed is not read: the host is looked at as a whole, so that messages that the
// kernel had to drop (ENOBUFS) lose nothing. Where it cannot subscribe, the interval
// remains. The channel is never closed; the function it starts ends with ctx.
func hostChanges(ctx context.Context, interval time.Duration) <-chan struct{} {
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // it is told already
		}
	}
	go func() {
		ticks := time.NewTicker(interval)
		defer ticks.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks.C:
				tell()
			}
		}
	}()
	if subscription, err := subscribeHost(); err == nil {
		stop := context.AfterFunc(ctx, func() { _ = subscription.SetReadDeadline(time.Unix(1, 0)) })
		go func() {
			defer subscription.Close()
			defer stop()
			listenHost(subscription, tell)
		}()
	}
	return changed
}

// listenHost tells of every message, and of messages that were dropped.
func listenHost(subscription *os.File, tell func()) {
	buffer := make([]byte, 1<<16)
	for {
		_, err := subscription.Read(buffer)
		if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EINTR) {
			return
		}
		tell()
	}
}

// subscribeHost joins the kernel's groups about links and addresses.
func subscribeHost() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "rtnetlink"), nil
}
