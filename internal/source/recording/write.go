package recording

import (
	"slices"
	"time"

	"mptcpctl/internal/pcapng"
)

// AppendMessages appends a packet with netlink messages of one family to those of an
// interface for messages.
func AppendMessages(b []byte, number int, t time.Time, family uint16, messages []byte) []byte {
	packet := append(appendCooked(make([]byte, 0, CookedSize+len(messages)), family), messages...)
	return pcapng.AppendPacket(b, pcapng.Packet{Interface: number, Time: t, Data: packet})
}

// mostFact is the size of the largest fact that is written in one packet: Wireshark
// refuses a file with a packet of more than 256 KiB. Those of hosts with thousands of
// routes are larger.
const mostFact = 128 << 10

// AppendFactPacket appends a packet with a fact to those of an interface for facts, or
// several with the parts of a large one.
func AppendFactPacket(b []byte, number int, t time.Time, f *Fact) ([]byte, error) {
	text, err := appendFact(nil, f)
	if err != nil {
		return b, err
	}
	if len(text) <= mostFact {
		return pcapng.AppendPacket(b, pcapng.Packet{Interface: number, Time: t, Data: text}), nil
	}
	for parts := slices.Collect(slices.Chunk(text, mostFact)); len(parts) > 0; parts = parts[1:] {
		part, err := appendFact(nil, &Fact{Fact: factPart, Part: parts[0], More: len(parts) > 1})
		if err != nil {
			return b, err
		}
		b = pcapng.AppendPacket(b, pcapng.Packet{Interface: number, Time: t, Data: part})
	}
	return b, nil
}
