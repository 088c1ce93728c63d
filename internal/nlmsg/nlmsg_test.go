package nlmsg

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// A request as the kernel takes it, byte by byte on a little-endian machine, and what
// walking over it gives.
func TestAppendAndWalk(t *testing.T) {
	b := AppendHeader(nil, 0x1c, FlagRequest|FlagAck, 7)
	b = AppendAttribute(b, 1, 0xa)
	b = AppendUint16(b, 2, 0x1234)
	b = AppendNested(b, 3, func(b []byte) []byte { return AppendUint32(b, 4, 0xdeadbeef) })
	SetLength(b)
	want := []byte{
		44, 0, 0, 0, 0x1c, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0,
		5, 0, 1, 0, 0xa, 0, 0, 0,
		6, 0, 2, 0, 0x34, 0x12, 0, 0,
		12, 0, 3, 0x80, 8, 0, 4, 0, 0xef, 0xbe, 0xad, 0xde,
	}
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 && !bytes.Equal(b, want) {
		t.Errorf("% x, want % x", b, want)
	}
	m, rest, ok := Next(append(b, 9))
	if !ok || len(rest) != 1 || m.Type() != 0x1c || m.Flags() != 5 || m.Sequence() != 7 {
		t.Fatalf("%v %v % x", ok, rest, m)
	}
	var seen []uint16
	err := EachAttribute(m.Payload(), func(a Attribute) error {
		seen = append(seen, a.Type)
		if a.Type != 3 {
			return nil
		}
		return EachAttribute(a.Value, func(a Attribute) error {
			var v uint32
			if err := a.Uint32(&v); err != nil || v != 0xdeadbeef {
				t.Errorf("%x, %v", v, err)
			}
			return nil
		})
	})
	if err != nil || !slices.Equal(seen, []uint16{1, 2, 3}) {
		t.Errorf("%v, %v", seen, err)
	}
}

// What is cut short anywhere is told, and never read beyond.
func TestDamage(t *testing.T) {
	b := AppendUint32(AppendHeader(nil, 20, 0, 1), 5, 6)
	SetLength(b)
	for n := range len(b) {
		if _, _, ok := Next(b[:n:n]); ok || Damage(b[:n]) == nil {
			t.Errorf("%d bytes are a message", n)
		}
	}
	attrs := b[HeaderSize:]
	for n := 1; n < len(attrs); n++ {
		err := EachAttribute(attrs[:n:n], func(Attribute) error { return nil })
		if err == nil || AttributeDamage(attrs[:n]) == nil {
			t.Errorf("%d bytes are an attribute", n)
		}
	}
	if Damage(b) != nil || AttributeDamage(attrs) != nil {
		t.Error("what is whole is damaged")
	}
	var v uint32
	if err := (Attribute{1, []byte{1, 2, 3}}).Uint32(&v); err == nil {
		t.Error("three bytes are 32 bits")
	}
}

func TestCode(t *testing.T) {
	message := func(typ uint16, payload ...byte) Message {
		b := append(AppendHeader(nil, typ, 0, 1), payload...)
		SetLength(b)
		return b
	}
	refused := binary.NativeEndian.AppendUint32(nil, ^uint32(12)) // -13
	for _, tt := range []struct {
		m    Message
		code int32
		ok   bool
	}{
		{message(TypeError, refused...), -13, true},
		{message(TypeDone), 0, true},
		{message(TypeDone, 0, 0, 0, 0), 0, true},
		{message(TypeError, 1, 2), 0, false},
	} {
		if code, ok := tt.m.Code(); code != tt.code || ok != tt.ok {
			t.Errorf("% x: %d %v, want %d %v", tt.m, code, ok, tt.code, tt.ok)
		}
	}
}

func FuzzMessages(f *testing.F) {
	f.Add([]byte{})
	whole := AppendUint32(AppendHeader(nil, 20, 2, 1), 5, 6)
	SetLength(whole)
	f.Add(slices.Concat(whole, whole, whole[:17]))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The oracle: positions counted by hand, and each message written anew.
		at := 0
		for m := range Messages(b) {
			n := int(binary.NativeEndian.Uint32(b[at:]))
			again := append(AppendHeader(nil, m.Type(), m.Flags(), m.Sequence()), m.Payload()...)
			SetLength(again)
			copy(again[12:16], m[12:16]) // the port id is the kernel's
			if !bytes.Equal(m, b[at:at+n]) || !bytes.Equal(again, m) || cap(m) != n {
				t.Fatalf("at %d: % x, again % x", at, []byte(m), again)
			}
			_, _ = m.Code()
			at = min(at+(n+3)/4*4, len(b))
		}
		if rest := b[at:]; len(rest) >= HeaderSize {
			if n := binary.NativeEndian.Uint32(rest); n >= HeaderSize && uint64(n) <= uint64(len(rest)) {
				t.Fatalf("a message of %d bytes was left out", n)
			}
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendNested(AppendAttribute(nil, 3, 1, 2, 3), 4, func(b []byte) []byte { return AppendUint16(b, 1, 2) }))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := 0
		var again, walked []byte
		for typ, value := range Attributes(b) {
			n := int(binary.NativeEndian.Uint16(b[at:]))
			if typ&^typeMask != 0 || typ != binary.NativeEndian.Uint16(b[at+2:])&0x3fff ||
				!bytes.Equal(value, b[at+4:at+n]) {
				t.Fatalf("at %d: type %d, % x", at, typ, value)
			}
			again = AppendAttribute(again, typ, value...)
			at = min(at+(n+3)/4*4, len(b))
		}
		// What was appended is walked to the same attributes again.
		for typ, value := range Attributes(again) {
			walked = AppendAttribute(walked, typ, value...)
		}
		if !bytes.Equal(walked, again) {
			t.Fatalf("% x, want % x", walked, again)
		}
		err := EachAttribute(b, func(Attribute) error { return nil })
		if (err == nil) != (at == len(b)) {
			t.Fatalf("%d of %d bytes walked, %v", at, len(b), err)
		}
	})
}
