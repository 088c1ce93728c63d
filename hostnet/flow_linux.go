package hostnet

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"mptcpctl/internal/nlmsg"

	"golang.org/x/sys/unix"
)

// devicesAtOnce is how many lookups are under way at once: their answers fit into the
// least receive buffer.
const devicesAtOnce = 64

// Devices returns for each flow the ifindex of the device by which the routes send its
// packets, 0 where there is no route. Many lookups go to the kernel in one message, each
// for some microseconds. It needs no privilege. The error is an [*Error].
func (r *Reader) Devices(ctx context.Context, flows []Flow) ([]uint32, error) {
	devices := make([]uint32, len(flows))
	for first := 0; first < len(flows); first += devicesAtOnce {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		last := min(first+devicesAtOnce, len(flows))
		err := r.devices(flows[first:last], devices[first:last])
		for attempt := 1; errors.Is(err, unix.ENOBUFS) && attempt < askAttempts; attempt++ {
			err = r.devices(flows[first:last], devices[first:last]) // others filled the socket
		}
		if err != nil {
			return nil, &Error{Op: "route lookup", Err: err}
		}
	}
	return devices, nil
}

// devices looks up as many routes as are asked for at once.
func (r *Reader) devices(flows []Flow, devices []uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.usable(); err != nil {
		return err
	}
	var request []byte
	for i := range flows {
		request = appendLookup(request, &flows[i], r.sequence+uint32(i))
	}
	first := r.sequence
	r.sequence += uint32(len(flows))
	if err := unix.Sendto(r.lookups, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	return r.collect(first, devices)
}

// collect reads the answers to requests that are numbered from first. Others may write to
// the socket: what is not the kernel's is passed over.
func (r *Reader) collect(first uint32, devices []uint32) error {
	answers := make([]byte, 1<<15)
	for left := len(devices); left > 0; {
		n, from, err := unix.Recvfrom(r.lookups, answers, 0)
		switch sender, ok := from.(*unix.SockaddrNetlink); {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		case !ok || sender.Pid != 0:
			continue
		}
		for m := range nlmsg.Messages(answers[:n]) {
			if i := m.Sequence() - first; i < uint32(len(devices)) {
				devices[i] = outgoing(m.Type(), m.Payload())
				left--
			}
		}
	}
	return nil
}

// appendLookup appends RTM_GETROUTE for the flow.
func appendLookup(b []byte, f *Flow, sequence uint32) []byte {
	start := len(b)
	b = nlmsg.AppendHeader(b, unix.RTM_GETROUTE, nlmsg.FlagRequest, sequence)
	family, bits := byte(unix.AF_INET), byte(32)
	if f.Destination.Is6() {
		family, bits = unix.AF_INET6, 128
	}
	b = append(b, family, bits, bits, 0, 0, 0, 0, 0, 0, 0, 0, 0) // struct rtmsg
	b = nlmsg.AppendAttribute(b, unix.RTA_DST, f.Destination.AsSlice()...)
	b = nlmsg.AppendAttribute(b, unix.RTA_SRC, f.Source.AsSlice()...)
	if f.Mark != 0 {
		b = nlmsg.AppendUint32(b, unix.RTA_MARK, f.Mark)
	}
	if f.SourcePort != 0 && f.DestinationPort != 0 {
		b = nlmsg.AppendAttribute(b, unix.RTA_IP_PROTO, unix.IPPROTO_TCP)
		b = nlmsg.AppendAttribute(b, unix.RTA_SPORT, binary.BigEndian.AppendUint16(nil, f.SourcePort)...)
		b = nlmsg.AppendAttribute(b, unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, f.DestinationPort)...)
	}
	nlmsg.SetLength(b[start:])
	return b
}

// outgoing returns the device of the route in the answer, 0 where it is an error or leads
// nowhere.
func outgoing(typ uint16, payload []byte) uint32 {
	if typ != unix.RTM_NEWROUTE || len(payload) < unix.SizeofRtMsg {
		return 0
	}
	switch payload[7] { // rtm_type
	case unix.RTN_UNICAST, unix.RTN_LOCAL:
	default:
		return 0
	}
	for typ, value := range nlmsg.Attributes(payload[unix.SizeofRtMsg:]) {
		if typ == unix.RTA_OIF && len(value) == 4 {
			return binary.NativeEndian.Uint32(value)
		}
	}
	return 0
}

// openLookups opens the socket of Devices in the thread's network namespace.
func openLookups() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, err
	}
	timeout := unix.NsecToTimeval(int64(patience / time.Nanosecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}
