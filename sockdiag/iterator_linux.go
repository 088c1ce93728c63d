package sockdiag

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"
	"time"

	"mptcpctl/internal/bpf"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// manySubflows is the number of subflows from which on the iterator pays. It takes 3 ms to
// set up. A subflow then costs a third to two thirds of what it costs in a dump, which
// writes everything known about each socket: 0.9 us instead of 1.4 where it was measured.
const manySubflows = 10_000

// iterable reports whether the request may be answered by the iterator.
func (c *Client) iterable(r *Request) bool {
	return r != nil && r.Brief && r.Expected >= manySubflows && c.config.Tap == nil && !r.AllTCP && !r.NoInfo &&
		r.States == 0 && r.Family == 0 && r.LocalPort == 0 && r.RemotePort == 0 && len(r.Match) == 0
}

// subflowIterator reads the subflows of a namespace by a BPF program that the kernel
// runs for each TCP socket.
type subflowIterator struct {
	layout *subflowLayout
	file   *os.File
	buffer []byte // the kernel gives no more at once
	filled int
	seen   cookieSet
}

// openIterator returns an iterator that has proved itself. After any error a dump must
// serve; the kernel was only asked questions until then.
func (c *Client) openIterator(ctx context.Context) (*subflowIterator, error) {
	if err := bpf.MayLoad(); err != nil {
		return nil, err
	}
	if strconv.IntSize < 64 || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil, mptcp.ErrNotSupported // bits are counted from the other end there
	}
	layout, err := readSubflowLayout()
	if err != nil {
		return nil, err
	}
	return c.iterate(ctx, layout)
}

// readSubflowLayout asks the running kernel for its layout.
func readSubflowLayout() (*subflowLayout, error) {
	all := subflowLayouts()
	if err := bpf.KernelLayouts(all); err != nil {
		return nil, err
	}
	var tick unix.Timespec // the coarse clock moves with the kernel's own
	if err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &tick); err != nil {
		return nil, err
	}
	return newSubflowLayout(all, time.Duration(tick.Nano()))
}

// iterate is openIterator with a layout.
func (c *Client) iterate(ctx context.Context, layout *subflowLayout) (*subflowIterator, error) {
	program, err := bpf.Load(unix.BPF_PROG_TYPE_TRACING, layout.code(), unix.BPF_TRACE_ITER, layout.program)
	if err != nil {
		return nil, err
	}
	defer unix.Close(program)
	i := &subflowIterator{layout: layout, buffer: make([]byte, 32<<10)}
	// It goes over the sockets of the namespace that it was made in.
	err = c.home.do(func() (err error) {
		i.file, err = bpf.Iterate(program)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(i.read(), i.prove(ctx, c)); err != nil {
		return nil, errors.Join(err, i.file.Close())
	}
	return i, nil
}

// read reads what the kernel gives at once; nothing is the end.
func (i *subflowIterator) read() error {
	for {
		n, err := unix.Read(int(i.file.Fd()), i.buffer)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN): // it has passed many other sockets
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		case n%i.layout.record() != 0:
			return io.ErrUnexpectedEOF
		}
		i.filled = n
		return nil
	}
}

// proofs is how many subflows are looked up before the program is believed.
const proofs = 4

// errUnproved says that what the program reads differs from the kernel's answers.
var errUnproved = errors.New("the program and the kernel's own answers differ")

// prove compares some of the first subflows with the kernel's answers about them. The names
// and places of members come from the kernel itself, but not their meaning.
func (i *subflowIterator) prove(ctx context.Context, c *Client) error {
	size := i.layout.record()
	count := i.filled / size
	var told []Subflow
	for n := range min(proofs, count) {
		var s Subflow
		i.layout.decode(i.buffer[n*count/proofs*size:], &s)
		s.Cookie = anyCookie
		told = append(told, s)
	}
	sockets := make([]Socket, len(told))
	for n := range told {
		sockets[n] = told[n].Socket
	}
	n, proved := 0, 0
	for s, err := range c.SubflowsBySocket(ctx, sockets) {
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		t := &told[n]
		n++
		switch {
		case err != nil, s.State != t.State: // it ended meanwhile
		case !s.HasMPTCP, !agree(t, &s):
			return errUnproved
		default:
			proved++
		}
	}
	if proved == 0 {
		return errUnproved
	}
	return nil
}

// anyCookie is INET_DIAG_NOCOOKIE, for both words.
const anyCookie = ^uint64(0)

// agree reports whether after, the kernel's answer a moment later, can follow before, which
// the program read.
func agree(before, after *Subflow) bool {
	b, a := &before.TCP, &after.TCP
	grown := func(b, a uint64) bool { return a >= b && a-b < 1<<40 }
	if lasting(before) != lasting(after) || !grown(b.BytesSent, a.BytesSent) ||
		!grown(b.BytesReceived, a.BytesReceived) || !grown(b.BytesRetransmitted, a.BytesRetransmitted) {
		return false
	}
	const moment = 10_000 // ms; rather too strict to one that is acknowledged right now
	if a.LastAckRecvMS-b.LastAckRecvMS+moment > 2*moment {
		return false
	}
	if a.BytesSent != b.BytesSent || a.BytesReceived != b.BytesReceived ||
		a.BytesRetransmitted != b.BytesRetransmitted {
		return true // the other figures may have changed too
	}
	return a.RTTMicros == b.RTTMicros && a.RTTVarMicros == b.RTTVarMicros && a.Cwnd == b.Cwnd && a.Backoff == b.Backoff
}

// lasting returns those fields of the subflow that do not change.
func lasting(s *Subflow) Subflow {
	const changing = SubflowFullyEstablished | SubflowConnected | SubflowMapValid |
		SubflowBackupLocal | SubflowBackupRemote
	return Subflow{
		Socket: Socket{Family: s.Family, Local: s.Local, Remote: s.Remote, IfIndex: s.IfIndex},
		MPTCP: SubflowInfo{
			TokenLocal: s.MPTCP.TokenLocal, LocalID: s.MPTCP.LocalID, RemoteID: s.MPTCP.RemoteID,
			Flags: s.MPTCP.Flags &^ changing,
		},
	}
}

// all calls row with each subflow once, until row returns false.
func (i *subflowIterator) all(ctx context.Context, row func(*Subflow) bool) error {
	var s Subflow
	size := i.layout.record()
	for i.filled > 0 {
		for records := i.buffer[:i.filled]; len(records) > 0; records = records[size:] {
			// The kernel finds its place again by counting, as in a dump.
			if key := i.layout.decode(records, &s); i.seen.add(key) && !row(&s) {
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := i.read(); err != nil {
			return err
		}
	}
	return nil
}
