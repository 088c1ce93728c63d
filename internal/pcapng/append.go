package pcapng

import (
	"encoding/binary"
	"time"
)

// AppendSection appends the block that begins a file. All is written in the byte order of
// this machine, which is the one of the netlink messages inside.
func AppendSection(b []byte, s Section) []byte {
	b, start := begin(b, blockSection)
	b = binary.NativeEndian.AppendUint32(b, byteOrderMagic)
	b = binary.NativeEndian.AppendUint16(b, 1) // major version
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint64(b, ^uint64(0)) // length of the section: not told
	b = appendText(b, optionHardware, s.Hardware)
	b = appendText(b, optionOS, s.OS)
	b = appendText(b, optionApplication, s.Application)
	return end(appendOption(b, optionEnd, nil), start)
}

// AppendInterface appends an interface. They are numbered in their order, from 0.
func AppendInterface(b []byte, i Interface) []byte {
	b, start := begin(b, blockInterface)
	b = binary.NativeEndian.AppendUint16(b, i.LinkType)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, 0) // packets are never cut
	b = appendText(b, optionName, i.Name)
	b = appendText(b, optionDescription, i.Description)
	b = appendOption(b, optionResolution, []byte{nanoseconds})
	return end(appendOption(b, optionEnd, nil), start)
}

// AppendPacket appends a packet, which may not be larger than [MaxPacket]. Times
// before 1970 and after 2554 do not fit.
func AppendPacket(b []byte, p Packet) []byte {
	b, start := begin(b, blockPacket)
	t := uint64(p.Time.UnixNano())
	b = binary.NativeEndian.AppendUint32(b, uint32(p.Interface))
	b = binary.NativeEndian.AppendUint32(b, uint32(t>>32))
	b = binary.NativeEndian.AppendUint32(b, uint32(t))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(p.Data)))
	b = binary.NativeEndian.AppendUint32(b, uint32(len(p.Data)))
	return end(pad(append(b, p.Data...)), start)
}

// begin appends a block's header; its length is put in by end.
func begin(b []byte, typ uint32) ([]byte, int) {
	start := len(b)
	b = binary.NativeEndian.AppendUint32(b, typ)
	return binary.NativeEndian.AppendUint32(b, 0), start
}

// end closes the block that begins at start.
func end(b []byte, start int) []byte {
	length := uint32(len(b) - start + 4)
	binary.NativeEndian.PutUint32(b[start+4:], length)
	return binary.NativeEndian.AppendUint32(b, length)
}

// appendText appends an option, unless the text is empty. Longer texts than an
// option holds are cut.
func appendText(b []byte, code uint16, text string) []byte {
	if text == "" {
		return b
	}
	return appendOption(b, code, []byte(text[:min(len(text), 1<<15)]))
}

func appendOption(b []byte, code uint16, value []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, code)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(value)))
	return pad(append(b, value...))
}

// pad appends zeros up to a multiple of four. Blocks begin at one.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// timeOf returns the time that a packet's stamp of the resolution tells.
func timeOf(stamp uint64, resolution uint8) time.Time {
	unit := uint64(1)
	for range nanoseconds - resolution {
		unit *= 10
	}
	second := uint64(time.Second) / unit
	return time.Unix(int64(stamp/second), int64(stamp%second*unit)).UTC()
}
