package sockdiag

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// fakeRequest is what a fake kernel is asked.
type fakeRequest struct {
	typ, flags uint16
	seq        uint32
	family     uint8
	protocol   uint32 // the attribute's, if attr, else the 8 bits of the structure
	attr       bool
	dump       bool
	token      mptcp.Token
}

// fakeKernel is a transport: answer returns the datagrams that answer a request.
type fakeKernel struct {
	answer func(r fakeRequest) [][]byte
	room   int // datagrams that the receive buffer holds, 0: any number
	queue  [][]byte
	lost   bool
	opened int
	closed int
}

func (k *fakeKernel) send(b []byte) error {
	for len(b) > 0 {
		ne := binary.NativeEndian
		m, rest, ok := nlmsg.Next(b)
		if !ok || len(m.Payload()) < uapi.InetDiagReqV2Size {
			return unix.EINVAL
		}
		r := fakeRequest{
			typ: m.Type(), flags: ne.Uint16(b[6:]), seq: m.Sequence(), family: m.Payload()[0],
			protocol: uint32(m.Payload()[1]), token: mptcp.Token(ne.Uint32(m.Payload()[48:])),
		}
		if r.typ == uapi.TCPDiagGetSock {
			r.protocol = unix.IPPROTO_TCP
		}
		r.dump = r.flags&nlmsg.FlagDump == nlmsg.FlagDump
		for a := m.Payload()[uapi.InetDiagReqV2Size:]; ; {
			typ, value, next, ok := nlmsg.NextAttribute(a)
			if !ok {
				break
			}
			if typ == uapi.InetDiagReqProtocol {
				r.protocol, r.attr = ne.Uint32(value), true
			}
			a = next
		}
		for _, datagram := range k.answer(r) {
			if k.room > 0 && len(k.queue) >= k.room {
				k.lost = true
				continue
			}
			k.queue = append(k.queue, datagram)
		}
		b = rest
	}
	return nil
}

func (k *fakeKernel) receive(b []byte) (int, error) {
	if k.lost {
		k.lost = false
		return 0, unix.ENOBUFS
	}
	if len(k.queue) == 0 {
		return 0, unix.EAGAIN
	}
	n := copy(b, k.queue[0])
	k.queue = k.queue[1:]
	return n, nil
}

func (k *fakeKernel) close() error {
	k.closed++
	k.queue = nil
	return nil
}

func (k *fakeKernel) client() *Client {
	return newClient(nil, func() (transport, error) {
		k.opened++
		return k, nil
	})
}

// modern answers like a kernel with MPTCP diag: rows for dumps of MPTCP, refusals
// for protocols that are not.
func modern(rows func(r fakeRequest) [][]byte) func(fakeRequest) [][]byte {
	return func(r fakeRequest) [][]byte {
		if r.protocol != uapi.IPPROTO_MPTCP && r.protocol != unix.IPPROTO_TCP {
			return [][]byte{encodeError(nlmsg.TypeDone, r.seq, int(unix.ENOENT))}
		}
		return rows(r)
	}
}

// A kernel that does not know the attribute for wide protocols answers a question
// about MPTCP with all its TCP sockets. They must not pass for connections.
func TestKernelWithoutMPTCPDiagAnswersWithTCP(t *testing.T) {
	tcp := sampleSubflow(280)
	k := &fakeKernel{}
	k.answer = func(r fakeRequest) [][]byte {
		if !r.dump {
			return [][]byte{encodeError(nlmsg.TypeError, r.seq, int(unix.ENOENT))}
		}
		return [][]byte{encodeMessage(uapi.SockDiagByFamily, r.seq, encodeSubflow(&tcp)),
			encodeError(nlmsg.TypeDone, r.seq, 0)}
	}
	c := k.client()
	n := 0
	for row, err := range c.Connections(t.Context(), nil) {
		n++
		if !errors.Is(err, mptcp.ErrNotSupported) {
			t.Errorf("row %+v, error %v, want mptcp.ErrNotSupported", row, err)
		}
	}
	if n != 1 {
		t.Errorf("%d results, want the error", n)
	}
	if _, err := c.Connection(t.Context(), 1); !errors.Is(err, mptcp.ErrNotSupported) ||
		errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lookup: %v, want mptcp.ErrNotSupported", err)
	}
	if rows := collect(t, c.Subflows(t.Context(), nil)); len(rows) != 1 {
		t.Errorf("TCP still works: %d rows, want 1", len(rows))
	}
}

// ENOENT to a lookup says "no such socket" and "no such module".
func TestKernelWithoutMPTCPDiagModule(t *testing.T) {
	k := &fakeKernel{}
	k.answer = func(r fakeRequest) [][]byte {
		typ := uint16(nlmsg.TypeError)
		if r.dump {
			typ = nlmsg.TypeDone
		}
		return [][]byte{encodeError(typ, r.seq, int(unix.ENOENT))}
	}
	c := k.client()
	if _, err := c.Connection(t.Context(), 1); !errors.Is(err, mptcp.ErrNotSupported) ||
		errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lookup: %v, want mptcp.ErrNotSupported", err)
	}
	for _, err := range c.Connections(t.Context(), nil) {
		if !errors.Is(err, mptcp.ErrNotSupported) {
			t.Errorf("list: %v, want mptcp.ErrNotSupported", err)
		}
	}
}

// Every request about MPTCP carries 262 in full, and asks for one family; TCP is asked
// for once.
func TestRequestsNameProtocolAndFamily(t *testing.T) {
	var asked []fakeRequest
	k := &fakeKernel{}
	k.answer = modern(func(r fakeRequest) [][]byte {
		asked = append(asked, r)
		return [][]byte{encodeError(nlmsg.TypeDone, r.seq, 0)}
	})
	c := k.client()
	collect(t, c.Connections(t.Context(), nil))
	collect(t, c.Listeners(t.Context()))
	collect(t, c.Subflows(t.Context(), nil))
	var families []uint8
	for i, r := range asked {
		families = append(families, r.family)
		if i < 4 && (!r.attr || r.protocol != uapi.IPPROTO_MPTCP) || i >= 4 && r.protocol != unix.IPPROTO_TCP {
			t.Errorf("request %d: %+v", i, r)
		}
	}
	if want := []uint8{2, 10, 2, 10, 0}; !slices.Equal(families, want) {
		t.Errorf("families %v, want %v", families, want)
	}
	if k.opened != 1 || k.closed != 0 {
		t.Errorf("%d sockets opened, %d closed, want 1 and 0", k.opened, k.closed)
	}
}

// A socket that joins the table while the kernel walks it moves others: they are
// shown again. A row with another cookie but the same addresses is another socket.
func TestRowsThatComeTwice(t *testing.T) {
	a, b := sampleSocket(), sampleSocket()
	b.Cookie++
	k := &fakeKernel{}
	k.answer = modern(func(r fakeRequest) [][]byte {
		row := func(s Socket) []byte {
			return encodeMessage(uapi.SockDiagByFamily, r.seq, encodeConnection(&Connection{Socket: s}))
		}
		return [][]byte{
			slices.Concat(row(a), row(b)),
			slices.Concat(row(b), row(a)),
			encodeError(nlmsg.TypeDone, r.seq, 0),
		}
	})
	rows := collect(t, k.client().Connections(t.Context(), nil))
	if len(rows) != 2 || rows[0].Cookie != a.Cookie || rows[1].Cookie != b.Cookie {
		t.Errorf("rows %+v", rows)
	}
}

func TestRefusedAndBrokenAnswers(t *testing.T) {
	row := encodeConnection(&Connection{Socket: sampleSocket(), Info: sampleInfo(96)})
	for name, test := range map[string]struct {
		answer func(seq uint32) []byte
		want   error
	}{
		"refused": {func(seq uint32) []byte { return encodeError(nlmsg.TypeError, seq, int(unix.EPERM)) },
			fs.ErrPermission},
		"short row": {func(seq uint32) []byte {
			return encodeMessage(uapi.SockDiagByFamily, seq,
				row[:40])
		}, errTruncated},
		"cut message": {func(seq uint32) []byte {
			return encodeMessage(uapi.SockDiagByFamily, seq,
				row)[:50]
		}, errTruncated},
		"cut header":        {func(uint32) []byte { return []byte{1, 2, 3} }, errTruncated},
		"error without one": {func(seq uint32) []byte { return encodeMessage(nlmsg.TypeError, seq, nil) }, errTruncated},
		"an end is missing": {func(seq uint32) []byte { return encodeMessage(uapi.SockDiagByFamily, seq, row) }, unix.EAGAIN},
		"another's answer":  {func(seq uint32) []byte { return encodeError(nlmsg.TypeDone, seq+9, 0) }, unix.EAGAIN},
	} {
		t.Run(name, func(t *testing.T) {
			k := &fakeKernel{}
			k.answer = modern(func(r fakeRequest) [][]byte { return [][]byte{test.answer(r.seq)} })
			var last error
			for _, err := range k.client().Connections(t.Context(), nil) {
				last = err
			}
			failed, typed := errors.AsType[*Error](last)
			if !errors.Is(last, test.want) || !typed || failed.Op != "connection list" {
				t.Errorf("error %v, want %v", last, test.want)
			}
		})
	}
}

// A receive buffer that holds few answers loses the rest: they are asked for again.
func TestLookupsThatOverflowTheBuffer(t *testing.T) {
	for _, room := range []int{1, 3, 63} {
		k := &fakeKernel{room: room}
		k.answer = modern(func(r fakeRequest) [][]byte {
			if r.token%3 == 0 {
				return [][]byte{encodeError(nlmsg.TypeError, r.seq, int(unix.ENOENT))}
			}
			c := Connection{Socket: sampleSocket(), Info: Info{Size: 96, Token: r.token}}
			return [][]byte{encodeMessage(uapi.SockDiagByFamily, r.seq, encodeConnection(&c))}
		})
		c := k.client()
		c.knowsMPTCP.Store(true)
		var tokens []mptcp.Token
		for i := range 200 {
			tokens = append(tokens, mptcp.Token(i+1))
		}
		n := 0
		for row, err := range c.ConnectionsByToken(t.Context(), tokens) {
			if row.Info.Token != tokens[n] || errors.Is(err, fs.ErrNotExist) != (tokens[n]%3 == 0) {
				t.Fatalf("room %d, answer %d: %+v, %v", room, n, row, err)
			}
			n++
		}
		if n != len(tokens) {
			t.Errorf("room %d: %d answers, want %d", room, n, len(tokens))
		}
	}
	k := &fakeKernel{answer: modern(func(fakeRequest) [][]byte { return nil })}
	c := k.client()
	if _, err := c.Connection(t.Context(), 1); !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("no answer at all: %v, want ENOBUFS", err)
	}
}

// Leaving a loop early leaves answers behind, so the socket must not be used again. A
// socket whose answers were all read is used again.
func TestHalfReadAnswersAreNotReused(t *testing.T) {
	k := &fakeKernel{}
	k.answer = modern(func(r fakeRequest) [][]byte {
		s := sampleSocket()
		first := encodeMessage(uapi.SockDiagByFamily, r.seq, encodeConnection(&Connection{Socket: s}))
		s.Cookie++
		second := encodeMessage(uapi.SockDiagByFamily, r.seq, encodeConnection(&Connection{Socket: s}))
		if !r.dump {
			return [][]byte{first}
		}
		return [][]byte{first, second, encodeError(nlmsg.TypeDone, r.seq, 0)}
	})
	c := k.client()
	for range c.Connections(t.Context(), nil) {
		break
	}
	if k.opened != 1 || k.closed != 1 {
		t.Errorf("after a list left early: %d opened, %d closed, want 1 and 1", k.opened, k.closed)
	}
	for range 3 {
		if _, err := c.Connection(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		collect(t, c.Connections(t.Context(), nil))
	}
	if k.opened != 2 || k.closed != 1 {
		t.Errorf("after whole answers: %d opened, %d closed, want 2 and 1", k.opened, k.closed)
	}
	for range c.ConnectionsByToken(t.Context(), []mptcp.Token{1, 2, 3}) {
		break
	}
	if k.closed != 2 {
		t.Errorf("after a batch left early: %d closed, want 2", k.closed)
	}
}

func TestCookieSet(t *testing.T) {
	var s cookieSet
	for round := range 3 {
		s.reset()
		// small ones and such as differ in high bits alone
		key := func(i uint64) uint64 { return (i + 1) << (16 * (i % 3)) }
		for i := range uint64(5000) {
			if !s.add(key(i)) || s.add(key(i)) {
				t.Fatalf("round %d: cookie %#x", round, key(i))
			}
			// As many as are remembered at least, whenever the tables changed.
			if back := i - min(i, setFull-1); s.add(key(back)) {
				t.Fatalf("round %d: cookie %d is forgotten at %d", round, back, i)
			}
		}
	}
	for range 2 {
		if !s.add(0) {
			t.Error("no cookie is no duplicate")
		}
	}
}
