package pcapng

import (
	"errors"
	"time"
)

// Link types (https://www.tcpdump.org/linktypes.html).
const (
	LinkTypeUser0   = 147 // of private use: what its packets hold is the program's own
	LinkTypeNetlink = 253 // a 16-byte cooked header and netlink messages
)

// Block types and options of the format.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 0x00000001
	blockPacket    = 0x00000006 // enhanced packet block

	byteOrderMagic = 0x1a2b3c4d

	optionEnd         = 0
	optionHardware    = 2 // of a section
	optionOS          = 3
	optionApplication = 4
	optionName        = 2 // of an interface
	optionDescription = 3
	optionResolution  = 9

	nanoseconds = 9 // if_tsresol: 10^-9 s
)

// maxBlock bounds what is taken for a block: more is a damaged length.
const maxBlock = 16 << 20

// MaxPacket is the largest packet that Append takes.
const MaxPacket = maxBlock - 64

// Section tells where a file comes from. All of it is optional.
type Section struct {
	Hardware, OS, Application string
}

// Interface is what packets belong to.
type Interface struct {
	LinkType    uint16
	Name        string // foreign when read: escape it before showing
	Description string
	resolution  uint8 // of times: 10^-resolution seconds
}

// Packet is a packet of an interface. Data is part of the file's bytes when read.
type Packet struct {
	Interface int // by its number, in the order of the interfaces
	Time      time.Time
	Data      []byte
}

// Errors that [Parse] yields.
var (
	// ErrTruncated: the file ends in the middle of a block. What came before is
	// whole.
	ErrTruncated = errors.New("the file ends in the middle of a block")
	// ErrFormat: the file is no pcapng file, or damaged.
	ErrFormat = errors.New("not a pcapng file, or a damaged one")
)
