package pcapng

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// File is what stands in a file before and between the packets.
type File struct {
	Section    Section
	Interfaces []Interface // as far as they were read
	Foreign    bool        // written by a machine of the other byte order

	order binary.ByteOrder
}

// Parse yields the packets of a file in their order. f is filled on the way: what
// belongs to a packet is there when the packet is. An error ends it: ErrTruncated,
// or one that [errors.Is] ErrFormat. It never panics, whatever data holds.
func Parse(data []byte, f *File) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for at := 0; at < len(data); {
			typ, body, size, err := f.block(data[at:])
			if err == nil {
				err = f.take(typ, body, at == 0)
			}
			if err != nil {
				yield(Packet{}, fmt.Errorf("at byte %d: %w", at, err))
				return
			}
			at += size
			if typ != blockPacket {
				continue
			}
			p, err := f.packet(body)
			if err != nil {
				yield(Packet{}, fmt.Errorf("at byte %d: %w", at-size, err))
				return
			}
			if !yield(p, nil) {
				return
			}
		}
		if f.order == nil {
			yield(Packet{}, ErrTruncated)
		}
	}
}

// Sizes of what stands around the body of a block. The type, the length and, in front
// of a section, the byte order are in the first twelve bytes, which every block has.
const (
	blockHead = 12
	blockTail = 4
)

// header reads the type and the length of the block at the start of b.
func (f *File) header(b []byte) (typ uint32, length int, err error) {
	if len(b) < blockHead {
		return 0, 0, ErrTruncated
	}
	if f.order == nil || binary.LittleEndian.Uint32(b) == blockSection {
		if err := f.setOrder(b); err != nil {
			return 0, 0, err
		}
	}
	size := f.order.Uint32(b[4:])
	if size < blockHead || size%4 != 0 || size > maxBlock {
		return 0, 0, fmt.Errorf("%w: a block of %d bytes", ErrFormat, size)
	}
	return f.order.Uint32(b), int(size), nil
}

// block takes the block at the start of b.
func (f *File) block(b []byte) (typ uint32, body []byte, size int, err error) {
	typ, size, err = f.header(b)
	if err != nil {
		return 0, nil, 0, err
	}
	if size > len(b) {
		return 0, nil, 0, ErrTruncated
	}
	if f.order.Uint32(b[size-blockTail:]) != uint32(size) {
		return 0, nil, 0, fmt.Errorf("%w: the two lengths of a block differ", ErrFormat)
	}
	return typ, b[8 : size-blockTail], size, nil
}

// setOrder reads the byte order at the beginning of a section.
func (f *File) setOrder(b []byte) error {
	if binary.LittleEndian.Uint32(b) != blockSection {
		return ErrFormat
	}
	if f.order != nil {
		return fmt.Errorf("%w: more than one section", ErrFormat)
	}
	switch {
	case binary.LittleEndian.Uint32(b[8:]) == byteOrderMagic:
		f.order = binary.LittleEndian
	case binary.BigEndian.Uint32(b[8:]) == byteOrderMagic:
		f.order = binary.BigEndian
	default:
		return ErrFormat
	}
	f.Foreign = f.order.Uint32([]byte{1, 2, 3, 4}) != binary.NativeEndian.Uint32([]byte{1, 2, 3, 4})
	return nil
}

// take reads a block that is no packet.
func (f *File) take(typ uint32, body []byte, first bool) error {
	switch {
	case typ == blockSection && first:
		if len(body) < 16 || f.order.Uint16(body[4:]) != 1 {
			return fmt.Errorf("%w: unknown version", ErrFormat)
		}
		return f.options(body[16:], func(code uint16, value []byte) {
			switch code {
			case optionHardware:
				f.Section.Hardware = string(value)
			case optionOS:
				f.Section.OS = string(value)
			case optionApplication:
				f.Section.Application = string(value)
			}
		})
	case typ == blockInterface:
		return f.takeInterface(body)
	}
	return nil
}

func (f *File) takeInterface(body []byte) error {
	if len(body) < 8 {
		return fmt.Errorf("%w: a short interface block", ErrFormat)
	}
	i := Interface{LinkType: f.order.Uint16(body), resolution: 6}
	err := f.options(body[8:], func(code uint16, value []byte) {
		switch {
		case code == optionName:
			i.Name = string(value)
		case code == optionDescription:
			i.Description = string(value)
		case code == optionResolution && len(value) > 0:
			i.resolution = value[0]
		}
	})
	if err == nil && i.resolution > nanoseconds {
		err = fmt.Errorf("%w: times with an unknown resolution", ErrFormat)
	}
	f.Interfaces = append(f.Interfaces, i)
	return err
}

// options hands the options of a block on.
func (f *File) options(b []byte, take func(code uint16, value []byte)) error {
	for len(b) >= 4 {
		code, length := f.order.Uint16(b), int(f.order.Uint16(b[2:]))
		if code == optionEnd {
			return nil
		}
		padded := (length + 3) &^ 3
		if padded > len(b)-4 {
			return fmt.Errorf("%w: an option is longer than its block", ErrFormat)
		}
		take(code, b[4:4+length])
		b = b[4+padded:]
	}
	return nil
}

// packet reads a packet's block.
func (f *File) packet(body []byte) (Packet, error) {
	if len(body) < 20 {
		return Packet{}, fmt.Errorf("%w: a short packet block", ErrFormat)
	}
	number := f.order.Uint32(body)
	stamp := uint64(f.order.Uint32(body[4:]))<<32 | uint64(f.order.Uint32(body[8:]))
	length := f.order.Uint32(body[12:])
	switch {
	case uint64(number) >= uint64(len(f.Interfaces)):
		return Packet{}, fmt.Errorf("%w: a packet of an unknown interface", ErrFormat)
	case uint64(length) > uint64(len(body)-20):
		return Packet{}, fmt.Errorf("%w: a packet is longer than its block", ErrFormat)
	}
	data := body[20 : 20+length : 20+length]
	return Packet{int(number), timeOf(stamp, f.Interfaces[number].resolution), data}, nil
}
