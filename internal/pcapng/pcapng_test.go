package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// sample is a file with two interfaces and some packets.
func sample() (file []byte, packets []Packet, ends []int) {
	file = AppendSection(nil, Section{OS: "Linux 6.18", Application: "mptcpctl"})
	file = AppendInterface(file, Interface{LinkType: LinkTypeNetlink, Name: "a", Description: "messages"})
	file = AppendInterface(file, Interface{LinkType: LinkTypeUser0})
	for i := range 9 {
		p := Packet{i % 2, time.Unix(1_763_841_101, int64(i)*123_456_789%1e9).UTC(), bytes.Repeat([]byte{byte(i)}, i)}
		file = AppendPacket(file, p)
		packets, ends = append(packets, p), append(ends, len(file))
	}
	return file, packets, ends
}

func read(data []byte) (File, []Packet, error) {
	var f File
	var packets []Packet
	for p, err := range Parse(data, &f) {
		if err != nil {
			return f, packets, err
		}
		packets = append(packets, p)
	}
	return f, packets, nil
}

func equal(a, b []Packet) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Interface != b[i].Interface || !a[i].Time.Equal(b[i].Time) || !bytes.Equal(a[i].Data, b[i].Data) {
			return false
		}
	}
	return true
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	file, packets, _ := sample()
	f, got, err := read(file)
	if err != nil || !equal(got, packets) {
		t.Fatalf("%v: got %v, want %v", err, got, packets)
	}
	if f.Section.OS != "Linux 6.18" || f.Section.Application != "mptcpctl" || f.Foreign {
		t.Errorf("section %+v, foreign %v", f.Section, f.Foreign)
	}
	if len(f.Interfaces) != 2 || f.Interfaces[0].Name != "a" || f.Interfaces[0].Description != "messages" ||
		f.Interfaces[1].LinkType != LinkTypeUser0 {
		t.Errorf("interfaces %+v", f.Interfaces)
	}
}

// TestTruncatedFile cuts the file at every byte: all packets before the cut are
// there, and the cut is told unless it is between two blocks.
func TestTruncatedFile(t *testing.T) {
	file, packets, ends := sample()
	whole := map[int]bool{}
	for at := 0; at < len(file); at += int(binary.NativeEndian.Uint32(file[at+4:])) {
		whole[at] = at > 0
	}
	for cut := range file {
		want := 0
		for want < len(ends) && ends[want] <= cut {
			want++
		}
		_, got, err := read(file[:cut])
		if !equal(got, packets[:want]) {
			t.Fatalf("cut at %d: %d packets, want %d", cut, len(got), want)
		}
		if told := errors.Is(err, ErrTruncated); told == whole[cut] {
			t.Fatalf("cut at %d: error %v", cut, err)
		}
	}
}

func TestOtherByteOrderAndMicroseconds(t *testing.T) {
	foreign := binary.ByteOrder(binary.BigEndian)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		foreign = binary.LittleEndian
	}
	words := func(n ...uint32) (b []byte) {
		for _, w := range n {
			w := w
			b = append(b, 0, 0, 0, 0)
			foreign.PutUint32(b[len(b)-4:], w)
		}
		return b
	}
	file := words(blockSection, 28, byteOrderMagic)
	file = append(file, words(0)...)
	foreign.PutUint16(file[12:], 1)
	file = append(file, words(^uint32(0), ^uint32(0), 28)...)
	iface := words(blockInterface, 20, 0, 0, 20)
	foreign.PutUint16(iface[8:], LinkTypeNetlink)
	file = append(file, iface...)
	const micros = 1_763_841_101_000_002
	file = append(file, words(0x0bad, 16, 42, 16)...) // unknown: passed over
	file = append(file, words(blockPacket, 36, 0, uint32(micros>>32), uint32(micros&0xffffffff), 1, 1, 0, 36)...)
	f, got, err := read(file)
	if err != nil || !f.Foreign || len(got) != 1 {
		t.Fatalf("%v: foreign %v, %d packets", err, f.Foreign, len(got))
	}
	if want := time.Unix(1_763_841_101, 2000); !got[0].Time.Equal(want) {
		t.Errorf("time %v, want %v", got[0].Time, want)
	}
}

func TestDamage(t *testing.T) {
	file, _, ends := sample()
	patch := func(at int, value uint32) []byte {
		b := bytes.Clone(file)
		binary.NativeEndian.PutUint32(b[at:], value)
		return b
	}
	for name, data := range map[string][]byte{
		"no pcapng":         []byte("GET / HTTP/1.1\r\n\r\n"),
		"lengths differ":    patch(ends[0]-4, 4),
		"odd length":        patch(ends[0]+4, 33),
		"too long":          patch(ends[0]+4, maxBlock+4),
		"unknown interface": patch(ends[0]+8, 7),
		"long packet":       patch(ends[0]+20, 1<<31),
		"second section":    append(bytes.Clone(file), file...),
	} {
		if _, _, err := read(data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: error %v, want ErrFormat", name, err)
		}
	}
}

// FuzzParse holds what is read against what is written of it: a file made of the
// packets that were read is read as the same packets.
func FuzzParse(f *testing.F) {
	file, _, _ := sample()
	f.Add(file)
	f.Add(file[:len(file)-5])
	f.Fuzz(func(t *testing.T, data []byte) {
		head, packets, _ := read(data)
		again := AppendSection(nil, Section{})
		for _, i := range head.Interfaces {
			again = AppendInterface(again, i)
		}
		for i := range packets {
			if s := packets[i].Time.Unix(); s < 0 || s > 1<<33 {
				return // beyond what nanoseconds hold
			}
			again = AppendPacket(again, packets[i])
		}
		_, got, err := read(again)
		if err != nil || !equal(got, packets) {
			t.Fatalf("%v: %v became %v", err, packets, got)
		}
	})
}
