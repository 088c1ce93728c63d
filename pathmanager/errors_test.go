package pathmanager

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"syscall"
	"testing"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// ack builds an NLMSG_ERROR for a request of 28 bytes that has one nested address,
// with or without the request, or an NLMSG_DONE.
func ack(typ, flags uint16, errno syscall.Errno, attrs []byte) []byte {
	request := finish(address{withID: true}.append(newRequest(28, 0, 1, 1), uapi.PMAttrAddrRemote))
	b := make([]byte, nlmsg.HeaderSize)
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], flags)
	b = binary.NativeEndian.AppendUint32(b, uint32(-int32(errno)))
	if typ == nlmsg.TypeError {
		if flags&nlmsg.FlagCapped != 0 {
			request = request[:nlmsg.HeaderSize]
		}
		b = append(b, request...)
	}
	return finish(append(b, attrs...))
}

func message(s string) []byte {
	return nlmsg.AppendAttribute(nil, uapi.NlmsgerrAttrMsg, append([]byte(s), 0)...)
}

func missing(typ, nest uint32) []byte {
	b := nlmsg.AppendUint32(nil, uapi.NlmsgerrAttrMissType, typ)
	if nest != 0 {
		b = nlmsg.AppendUint32(b, uapi.NlmsgerrAttrMissNest, nest)
	}
	return b
}

// Many errors have no text: the missing attribute's number is all that there is.
func TestDecodeAckKeepsWhatTheKernelSaid(t *testing.T) {
	offset := nlmsg.AppendUint32(nil, uapi.NlmsgerrAttrOffs, 20)
	for _, tt := range []struct {
		name string
		msg  []byte
		want Error
		text string
	}{
		{
			"text and offset", ack(nlmsg.TypeError, nlmsg.FlagAckTLVs, syscall.EINVAL,
				append(message("unknown address family"), offset...)),
			Error{Message: "unknown address family", Offset: 20, Err: syscall.EINVAL},
			"endpoint add 10.0.0.1: unknown address family",
		},
		{
			"capped", ack(nlmsg.TypeError, nlmsg.FlagAckTLVs|nlmsg.FlagCapped, syscall.EINVAL, message("why")),
			Error{Message: "why", Err: syscall.EINVAL}, "endpoint add 10.0.0.1: why",
		},
		{
			"missing", ack(nlmsg.TypeError, nlmsg.FlagAckTLVs, syscall.EINVAL, missing(uapi.PMAttrToken, 0)),
			Error{Missing: "token", Err: syscall.EINVAL}, "endpoint add 10.0.0.1: missing attribute token",
		},
		{
			"missing in nest",
			ack(nlmsg.TypeError, nlmsg.FlagAckTLVs, syscall.EINVAL, missing(uapi.PMAddrAttrFamily, 20)),
			Error{Missing: "addr-remote.family", Err: syscall.EINVAL},
			"endpoint add 10.0.0.1: missing attribute addr-remote.family",
		},
		{
			"missing unknown", ack(nlmsg.TypeError, nlmsg.FlagAckTLVs, syscall.EINVAL, missing(99, 0)),
			Error{Missing: "number 99", Err: syscall.EINVAL}, "endpoint add 10.0.0.1: missing attribute number 99",
		},
		{
			"errno alone", ack(nlmsg.TypeError, 0, syscall.EPERM, nil),
			Error{Err: syscall.EPERM}, "endpoint add 10.0.0.1: operation not permitted",
		},
		{
			"end of a dump", ack(nlmsg.TypeDone, nlmsg.FlagAckTLVs, syscall.EINVAL, message("invalid token")),
			Error{Message: "invalid token", Err: syscall.EINVAL}, "endpoint add 10.0.0.1: invalid token",
		},
	} {
		got, ok := errors.AsType[*Error](decodeAck(tt.msg))
		if !ok {
			t.Errorf("%s: no error", tt.name)
			continue
		}
		if got.Message != tt.want.Message || got.Offset != tt.want.Offset || got.Missing != tt.want.Missing ||
			got.Err != tt.want.Err {
			t.Errorf("%s: %+v, want %+v", tt.name, *got, tt.want)
		}
		got.Op, got.Object = "endpoint add", "10.0.0.1"
		if got.Error() != tt.text {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.text)
		}
	}
	if err := decodeAck(ack(nlmsg.TypeError, 0, 0, nil)); err != nil {
		t.Errorf("an acknowledgement is the error %v", err)
	}
	if err := decodeAck(ack(nlmsg.TypeDone, 0, 0, nil)); err != nil {
		t.Errorf("the end of a dump is the error %v", err)
	}
}

func TestDecodeAckTruncatedAtEachByte(t *testing.T) {
	msg := ack(nlmsg.TypeError, nlmsg.FlagAckTLVs, syscall.EINVAL, append(message("why"), missing(4, 0)...))
	for n := nlmsg.HeaderSize; n < len(msg); n++ {
		cut := finish(append([]byte(nil), msg[:n]...))
		err := decodeAck(cut)
		if err == nil {
			t.Errorf("cut to %d bytes: success", n)
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Message != "" && e.Message != "why" {
			t.Errorf("cut to %d bytes: %q", n, e.Message)
		}
	}
}

// The answers of older kernels, which the kernel at hand does not give.
func TestErrorKinds(t *testing.T) {
	all := []error{
		fs.ErrNotExist,
		fs.ErrExist,
		fs.ErrPermission,
		fs.ErrInvalid,
		mptcp.ErrTooMany,
		mptcp.ErrNotSupported,
	}
	for _, tt := range []struct {
		errno syscall.Errno
		words string
		want  error
	}{
		{syscall.EBUSY, "too many addresses or duplicate one: -16", fs.ErrExist},
		{syscall.EEXIST, "too many addresses or duplicate one: -17", fs.ErrExist},
		{syscall.ERANGE, "too many addresses or duplicate one: -34", mptcp.ErrTooMany},
		{syscall.EINVAL, "flags mustn't have both signal and fullmesh", fs.ErrInvalid},
		{syscall.EINVAL, "address not found", fs.ErrNotExist},
		{syscall.EINVAL, "address with id 7 not found", fs.ErrNotExist},
		{syscall.EINVAL, "invalid token", fs.ErrNotExist},
		{syscall.ESRCH, "subflow not found", fs.ErrNotExist},
		{syscall.EINVAL, "limit greater than maximum (8)", fs.ErrInvalid},
		{syscall.EINVAL, "limit greater than maximum", fs.ErrInvalid},
		{syscall.EOPNOTSUPP, "", mptcp.ErrNotSupported},
		{syscall.EPERM, "", fs.ErrPermission},
		{syscall.EINVAL, "userspace PM not selected", fs.ErrInvalid},
		{syscall.EADDRNOTAVAIL, "create listen socket error: -99", nil},
	} {
		e := &Error{Message: tt.words, Err: tt.errno, kind: classify(tt.errno, tt.words)}
		for _, kind := range all {
			if got := errors.Is(e, kind); got != (kind == tt.want) {
				t.Errorf("%v %q is %q: %v", tt.errno, tt.words, kind, got)
			}
		}
		if !errors.Is(e, tt.errno) {
			t.Errorf("%v is lost", tt.errno)
		}
	}
}

// Linux before 6.12 says the same for a full table and for a twin.
func TestFullTableToldFromTwinOnOldKernels(t *testing.T) {
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	have := []mptcp.Endpoint{{ID: 1, Address: a}, {ID: 2, Address: b, Port: 9999}}
	for _, tt := range []struct {
		name string
		add  mptcp.Endpoint
		want error
	}{
		{"same address", mptcp.Endpoint{Address: a}, fs.ErrExist},
		{"same address, mapped", mptcp.Endpoint{Address: netip.AddrFrom16(a.As16())}, fs.ErrExist},
		{"same id", mptcp.Endpoint{ID: 2, Address: netip.MustParseAddr("10.0.0.3")}, fs.ErrExist},
		{"other port", mptcp.Endpoint{Address: b, Port: 1}, mptcp.ErrTooMany},
		{"new", mptcp.Endpoint{Address: netip.MustParseAddr("10.0.0.3")}, mptcp.ErrTooMany},
	} {
		e := &Error{Message: "too many addresses or duplicate one", Err: syscall.EINVAL}
		if !e.ambiguous() {
			t.Fatal("the old kernels' words are not known")
		}
		classifyTwin(e, tt.add, have)
		if !errors.Is(e, tt.want) || errors.Is(e, fs.ErrExist) == errors.Is(e, mptcp.ErrTooMany) {
			t.Errorf("%s: kind %v, want %v", tt.name, e.kind, tt.want)
		}
	}
	if (&Error{Message: "address not found", Err: syscall.EINVAL}).ambiguous() {
		t.Error("any EINVAL is taken for a twin")
	}
}
