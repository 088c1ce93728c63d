package pathmanager

import (
	"encoding/binary"
	"fmt"
)

// Sizes and numbers of netlink and generic netlink messages (linux/netlink.h,
// linux/genetlink.h).
const (
	nlmsgHeaderSize = 16
	genlHeaderSize  = 4
	nlaHeaderSize   = 4

	nlmsgError = 2    // NLMSG_ERROR
	nlmsgDone  = 3    // NLMSG_DONE
	nlmsgMin   = 0x10 // NLMSG_MIN_TYPE: below it are control messages

	nlmFRequest = 0x1   // NLM_F_REQUEST
	nlmFAck     = 0x4   // NLM_F_ACK
	nlmFDump    = 0x300 // NLM_F_DUMP
	nlmFCapped  = 0x100 // NLM_F_CAPPED, in an error: the request is not repeated
	nlmFAckTLVs = 0x200 // NLM_F_ACK_TLVS, in an error: extended ACK attributes follow

	nlaTypeMask = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	nlaFNested  = 0x8000 // NLA_F_NESTED
)

// align rounds a length up to the four bytes of NLMSG_ALIGN and NLA_ALIGN.
func align(n int) int { return (n + 3) &^ 3 }

// header is struct nlmsghdr without the length.
type header struct {
	typ   uint16
	flags uint16
	seq   uint32
}

// nextMessage splits the first netlink message off a datagram. The message is
// whole: as long as its own header says.
func nextMessage(b []byte) (msg, rest []byte, err error) {
	if len(b) < nlmsgHeaderSize {
		return nil, nil, fmt.Errorf("netlink message of %d bytes is shorter than its header", len(b))
	}
	n := binary.NativeEndian.Uint32(b)
	if n < nlmsgHeaderSize || uint64(n) > uint64(len(b)) {
		return nil, nil, fmt.Errorf("netlink message says %d bytes where %d are there", n, len(b))
	}
	return b[:n], b[min(align(int(n)), len(b)):], nil
}

// parseHeader reads the header of a message that nextMessage returned.
func parseHeader(msg []byte) header {
	return header{
		typ:   binary.NativeEndian.Uint16(msg[4:]),
		flags: binary.NativeEndian.Uint16(msg[6:]),
		seq:   binary.NativeEndian.Uint32(msg[8:]),
	}
}

// genlPayload returns the command and the attributes of a whole generic netlink
// message.
func genlPayload(msg []byte) (cmd uint8, attrs []byte, err error) {
	msg, _, err = nextMessage(msg)
	if err != nil {
		return 0, nil, err
	}
	if t := binary.NativeEndian.Uint16(msg[4:]); t < nlmsgMin {
		return 0, nil, fmt.Errorf("netlink control message %d", t)
	}
	if len(msg) < nlmsgHeaderSize+genlHeaderSize {
		return 0, nil, fmt.Errorf("generic netlink message of %d bytes is shorter than its header", len(msg))
	}
	return msg[nlmsgHeaderSize], msg[nlmsgHeaderSize+genlHeaderSize:], nil
}

// attribute is one netlink attribute. The value lies in the message.
type attribute struct {
	typ   uint16
	value []byte
}

// nextAttribute splits the first attribute off a list of them.
func nextAttribute(b []byte) (a attribute, rest []byte, err error) {
	if len(b) < nlaHeaderSize {
		return a, nil, fmt.Errorf("%d bytes are too few for an attribute", len(b))
	}
	n := int(binary.NativeEndian.Uint16(b))
	a.typ = binary.NativeEndian.Uint16(b[2:]) & nlaTypeMask
	if n < nlaHeaderSize || n > len(b) {
		return a, nil, fmt.Errorf("attribute %d says %d bytes where %d are there", a.typ, n, len(b))
	}
	a.value = b[nlaHeaderSize:n]
	return a, b[min(align(n), len(b)):], nil
}

// eachAttribute calls f for each attribute and stops at the first error.
func eachAttribute(b []byte, f func(attribute) error) error {
	for len(b) > 0 {
		a, rest, err := nextAttribute(b)
		if err != nil {
			return err
		}
		if err := f(a); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// short is the error of an attribute whose value has not the length of its type.
// A longer value is none: the kernel may widen an attribute.
func (a attribute) short(want int) error {
	if len(a.value) < want {
		return fmt.Errorf("attribute %d has %d bytes, want %d", a.typ, len(a.value), want)
	}
	return nil
}

func (a attribute) uint8(p *uint8) error {
	if err := a.short(1); err != nil {
		return err
	}
	*p = a.value[0]
	return nil
}

func (a attribute) uint16(p *uint16) error {
	if err := a.short(2); err != nil {
		return err
	}
	*p = binary.NativeEndian.Uint16(a.value)
	return nil
}

func (a attribute) uint32(p *uint32) error {
	if err := a.short(4); err != nil {
		return err
	}
	*p = binary.NativeEndian.Uint32(a.value)
	return nil
}

// text returns the value of a string attribute without its closing zero.
func (a attribute) text() string {
	v := a.value
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	return string(v)
}

// newRequest starts a generic netlink request. finish sets its length, and the
// connection that sends it the sequence number.
func newRequest(family, flags uint16, cmd, version uint8) []byte {
	b := make([]byte, nlmsgHeaderSize+genlHeaderSize, 128)
	binary.NativeEndian.PutUint16(b[4:], family)
	binary.NativeEndian.PutUint16(b[6:], flags|nlmFRequest)
	b[nlmsgHeaderSize], b[nlmsgHeaderSize+1] = cmd, version
	return b
}

// finish sets the length of the request.
func finish(b []byte) []byte {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

// appendAttribute appends an attribute and its padding.
func appendAttribute(b []byte, typ uint16, value ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(nlaHeaderSize+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, align(len(value))-len(value))...)
}

func appendUint16(b []byte, typ, v uint16) []byte {
	return appendAttribute(b, typ, binary.NativeEndian.AppendUint16(nil, v)...)
}

func appendUint32(b []byte, typ uint16, v uint32) []byte {
	return appendAttribute(b, typ, binary.NativeEndian.AppendUint32(nil, v)...)
}

// appendNested appends an attribute that holds the attributes that f appends.
func appendNested(b []byte, typ uint16, f func([]byte) []byte) []byte {
	start := len(b)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint16(b, typ|nlaFNested)
	b = f(b)
	binary.NativeEndian.PutUint16(b[start:], uint16(len(b)-start))
	return b
}
