package pathmanager

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
)

// Error is a request that was refused, by the kernel or by this package before it reached
// the kernel.
//
// The kernel answers most mistakes with EINVAL, and only its words tell them apart. So
// [errors.Is] looks at both:
//
//   - [fs.ErrNotExist]: no such endpoint, connection (token), address or subflow
//   - [fs.ErrExist]: an endpoint with this address or id exists
//   - [fs.ErrPermission]: CAP_NET_ADMIN is missing in the network namespace
//   - [fs.ErrInvalid]: any other argument that the kernel refuses
//   - [mptcp.ErrTooMany]: the table of endpoints is full
//   - [mptcp.ErrNotSupported]: this kernel has no such command
//
// It unwraps to the [syscall.Errno], if the kernel gave one.
type Error struct {
	Op      string // "endpoint add"
	Object  string // "10.0.0.1", "id 3", "token 38a251e2"; may be empty
	Message string // the kernel's words (extended ACK), or ours; may be empty
	Offset  int    // of the attribute in the request that is to blame, 0 if unknown
	Missing string // name of the attribute that the kernel missed, such as "token" or "addr.family"
	Err     error  // the errno

	kind error // what Is answers, beyond the errno
}

// Error returns operation, object and the kernel's own words, such as
// "endpoint add 10.0.0.1: flags mustn't have both signal and fullmesh". If the kernel
// gave no words, the errno's text stands there.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteString(" " + e.Object)
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.Missing != "" {
		b.WriteString(": missing attribute " + e.Missing)
	}
	if e.Message == "" && e.Missing == "" && e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the errno.
func (e *Error) Unwrap() error { return e.Err }

// Is implements the promise of [Error].
func (e *Error) Is(target error) bool { return e.kind != nil && e.kind == target }

// invalid is the error of an argument that the kernel would misread.
func invalid(op, object, why string) *Error {
	return &Error{Op: op, Object: object, Message: why, Err: fs.ErrInvalid}
}

// The kernel's words that tell what an EINVAL means. They are substrings, because Linux
// 6.1 says less than later kernels do.
const (
	wordsNotFound     = "not found"     // "address not found", "address with id 3 not found", "subflow not found"
	wordsInvalidToken = "invalid token" // no connection has this token
	wordsTableOrTwin  = "too many addresses or duplicate one"
)

// classify returns the sentinel that the errno and the words stand for.
func classify(errno syscall.Errno, words string) error {
	switch {
	case errno == syscall.EPERM, errno == syscall.EACCES:
		return fs.ErrPermission
	case errno == syscall.EOPNOTSUPP:
		return mptcp.ErrNotSupported
	case errno == syscall.ERANGE && strings.Contains(words, wordsTableOrTwin):
		return mptcp.ErrTooMany
	case errno == syscall.EEXIST, errno == syscall.EBUSY && strings.Contains(words, wordsTableOrTwin):
		return fs.ErrExist
	case errno == syscall.ESRCH, strings.Contains(words, wordsNotFound), strings.Contains(words, wordsInvalidToken):
		return fs.ErrNotExist
	case errno == syscall.EINVAL:
		return fs.ErrInvalid
	}
	return nil
}

// classifyTwin decides what Linux before 6.12 leaves open, because it answers EINVAL with
// the same words for a full table and for an address or id that is taken. have are the
// present endpoints.
func classifyTwin(e *Error, want mptcp.Endpoint, have []mptcp.Endpoint) {
	e.kind = mptcp.ErrTooMany
	for _, h := range have {
		if want.ID != 0 && h.ID == want.ID || h.Address.Unmap() == want.Address.Unmap() && h.Port == want.Port {
			e.kind = fs.ErrExist
		}
	}
}

// ambiguous reports whether classifyTwin has to decide.
func (e *Error) ambiguous() bool {
	return errors.Is(e.Err, syscall.EINVAL) && strings.Contains(e.Message, wordsTableOrTwin)
}

// decodeAck reads an NLMSG_ERROR, or the NLMSG_DONE that ends a dump. It returns nil if
// the kernel has done what was asked. Both messages start with an errno; attributes of the
// extended ACK follow, in an error behind the request that it answers.
func decodeAck(msg nlmsg.Message) error {
	code, ok := msg.Code()
	if !ok {
		return fmt.Errorf("netlink error of %d bytes", len(msg.Payload()))
	}
	if code == 0 {
		return nil
	}
	e := &Error{Err: syscall.Errno(-code)}
	if msg.Flags()&nlmsg.FlagAckTLVs != 0 {
		e.setExtendedAck(extendedAck(msg))
	}
	e.kind = classify(syscall.Errno(-code), e.Message)
	return e
}

// extendedAck returns the attributes behind the errno and, in an error, behind the
// repeated request, and that request.
func extendedAck(msg nlmsg.Message) (attrs, request []byte) {
	b := msg.Payload()[4:]
	if msg.Type() == nlmsg.TypeDone {
		return b, nil
	}
	if len(b) < nlmsg.HeaderSize {
		return nil, nil
	}
	n := nlmsg.HeaderSize
	if msg.Flags()&nlmsg.FlagCapped == 0 {
		n = nlmsg.Align(int(binary.NativeEndian.Uint32(b)))
	}
	if n < nlmsg.HeaderSize || n > len(b) {
		return nil, nil
	}
	return b[n:], b[:n]
}

// setExtendedAck keeps what the attributes say, except for one that is cut short. The
// errno stands in any case.
func (e *Error) setExtendedAck(attrs, request []byte) {
	var missing, nest uint32
	_ = nlmsg.EachAttribute(attrs, func(a nlmsg.Attribute) error {
		switch a.Type {
		case uapi.NlmsgerrAttrMsg:
			e.Message = a.Text()
		case uapi.NlmsgerrAttrOffs:
			var offset uint32
			err := a.Uint32(&offset)
			e.Offset = int(offset)
			return err
		case uapi.NlmsgerrAttrMissType:
			return a.Uint32(&missing)
		case uapi.NlmsgerrAttrMissNest:
			return a.Uint32(&nest)
		}
		return nil
	})
	if missing != 0 {
		e.Missing = missingName(missing, nest, request)
	}
}

// Names of the attributes, as the kernel's specification mptcp_pm.yaml spells
// them.
var (
	requestNames = [...]string{
		uapi.PMAttrAddr:        "addr",
		uapi.PMAttrRcvAddAddrs: "rcv-add-addrs",
		uapi.PMAttrSubflows:    "subflows",
		uapi.PMAttrToken:       "token",
		uapi.PMAttrLocID:       "loc-id",
		uapi.PMAttrAddrRemote:  "addr-remote",
	}
	addressNames = [...]string{
		uapi.PMAddrAttrFamily: "family",
		uapi.PMAddrAttrID:     "id",
		uapi.PMAddrAttrAddr4:  "addr4",
		uapi.PMAddrAttrAddr6:  "addr6",
		uapi.PMAddrAttrPort:   "port",
		uapi.PMAddrAttrFlags:  "flags",
		uapi.PMAddrAttrIfIdx:  "if-idx",
	}
)

// missingName returns the name of the attribute that the kernel missed: within the nested
// attribute at offset nest of the request, or at the top of the request for 0.
func missingName(typ, nest uint32, request []byte) string {
	if nest == 0 {
		return attributeName(requestNames[:], typ)
	}
	prefix := "addr."
	if int64(nest) <= int64(len(request)) {
		if outer, _, _, ok := nlmsg.NextAttribute(request[nest:]); ok {
			prefix = attributeName(requestNames[:], uint32(outer)) + "."
		}
	}
	return prefix + attributeName(addressNames[:], typ)
}

// attributeName returns the name of an attribute, or its number.
func attributeName(names []string, typ uint32) string {
	if int64(typ) < int64(len(names)) && names[typ] != "" {
		return names[typ]
	}
	return fmt.Sprintf("number %d", typ)
}
