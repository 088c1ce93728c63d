package owners

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// direntName is the offset of the name in struct linux_dirent64: inode, offset,
// length of the entry, type, name, zero byte.
const (
	direntLength = 16
	direntName   = 19
)

// nextEntry returns the name of the first entry of a directory buffer as
// getdents64(2) fills it, and the rest of the buffer. A zero byte follows the
// name.
func nextEntry(entries []byte) (name, rest []byte, ok bool) {
	if len(entries) <= direntName {
		return nil, nil, false
	}
	length := int(binary.NativeEndian.Uint16(entries[direntLength:]))
	if length <= direntName || length > len(entries) {
		return nil, nil, false
	}
	name = entries[direntName:length]
	end := bytes.IndexByte(name, 0)
	if end <= 0 {
		return nil, nil, false
	}
	return name[:end], entries[length:], true
}

// parseNumber reads decimal digits, and nothing but digits.
func parseNumber(digits []byte) (uint64, bool) {
	if len(digits) == 0 {
		return 0, false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' || n > (math.MaxUint64-9)/10 {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// appendNumber appends the decimal digits of n.
func appendNumber(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }
