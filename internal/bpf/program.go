package bpf

import "encoding/binary"

// Operations, as linux/bpf.h makes them up of class, size and mode.
const (
	Read8 = 0x79 // dst = *(u64 *)(src + off)
	Read4 = 0x61
	Read2 = 0x69
	Read1 = 0x71

	Write8  = 0x7b // *(u64 *)(dst + off) = src
	Write4  = 0x63
	Zero8   = 0x7a // *(u64 *)(dst + off) = imm
	Atomic8 = 0xdb // the operation is imm

	Set        = 0xb7 // dst = imm
	Copy       = 0xbf // dst = src
	Add        = 0x07 // dst += imm
	And        = 0x57 // dst &= imm
	ShiftRight = 0x7f // dst >>= src

	Call     = 0x85 // the helper imm
	Exit     = 0x95
	Always   = 0x05 // jumps
	IfEqual  = 0x15 // dst == imm
	IfNot    = 0x55 // dst != imm
	IfMore   = 0x25 // dst > imm
	IfLess   = 0xa5 // dst < imm
	IfAtMost = 0xb5 // dst <= imm

	IfSame    = 0x1d // dst == src
	IfNotSame = 0x5d // dst != src

	wide = 0x18
)

// instruction is struct bpf_insn; to is the label that it jumps to.
type instruction struct {
	code, dst, src uint8
	off            int16
	imm            int32
	to             string
}

// Program collects instructions. The zero value is empty.
type Program struct {
	list   []instruction
	labels map[string]int
}

// Op appends an instruction.
func (p *Program) Op(code, dst, src uint8, off int16, imm int32) {
	p.list = append(p.list, instruction{code: code, dst: dst, src: src, off: off, imm: imm})
}

// Jump appends a jump to a label, which may be set later.
func (p *Program) Jump(code, dst uint8, imm int32, to string) {
	p.list = append(p.list, instruction{code: code, dst: dst, imm: imm, to: to})
}

// JumpSame appends a jump that compares two registers.
func (p *Program) JumpSame(code, dst, src uint8, to string) {
	p.list = append(p.list, instruction{code: code, dst: dst, src: src, to: to})
}

// Wide loads 64 bits: two instructions. Pseudo is 0, or tells what the number
// stands for (BPF_PSEUDO_*).
func (p *Program) Wide(dst, pseudo uint8, low, high int32) {
	p.Op(wide, dst, pseudo, 0, low)
	p.Op(0, 0, 0, 0, high)
}

// Label names the place of the next instruction.
func (p *Program) Label(name string) {
	if p.labels == nil {
		p.labels = map[string]int{}
	}
	p.labels[name] = len(p.list)
}

// Bytes returns the program as the kernel takes it. Jumps to labels that were not
// set are the programmer's error: the kernel refuses the program.
func (p *Program) Bytes() []byte {
	var b []byte
	for i, in := range p.list {
		if in.to != "" {
			in.off = int16(p.labels[in.to] - i - 1)
		}
		registers := in.dst | in.src<<4
		if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 { // the bit fields turn around
			registers = in.dst<<4 | in.src
		}
		b = append(b, in.code, registers)
		b = binary.NativeEndian.AppendUint16(b, uint16(in.off))
		b = binary.NativeEndian.AppendUint32(b, uint32(in.imm))
	}
	return b
}
