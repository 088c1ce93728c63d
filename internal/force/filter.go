package force

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// call is socket(2) as one architecture numbers it.
type call struct {
	arch uint32 // AUDIT_ARCH_*
	nr   uint32
}

// socketCalls returns socket(2) in each architecture that programs of this machine
// may use. 64-bit kernels run 32-bit programs too; those that go through
// socketcall(2), whose arguments are in memory, are not caught. x32 is left out:
// its number would be caught even by kernels that answer it with ENOSYS.
func socketCalls(goarch string) []call {
	i386 := call{unix.AUDIT_ARCH_I386, 359}
	arm := call{unix.AUDIT_ARCH_ARM, 281}
	switch goarch {
	case "amd64":
		return []call{{unix.AUDIT_ARCH_X86_64, 41}, i386}
	case "386":
		return []call{i386}
	case "arm64":
		return []call{{unix.AUDIT_ARCH_AARCH64, 198}, arm}
	case "arm":
		return []call{arm}
	case "riscv64":
		return []call{{unix.AUDIT_ARCH_RISCV64, 198}}
	case "loong64":
		return []call{{unix.AUDIT_ARCH_LOONGARCH64, 198}}
	case "mipsle":
		return []call{{unix.AUDIT_ARCH_MIPSEL, 4183}}
	case "mips":
		return []call{{unix.AUDIT_ARCH_MIPS, 4183}}
	case "mips64le":
		return []call{{unix.AUDIT_ARCH_MIPSEL64, 5040}, {unix.AUDIT_ARCH_MIPSEL, 4183}}
	case "mips64":
		return []call{{unix.AUDIT_ARCH_MIPS64, 5040}, {unix.AUDIT_ARCH_MIPS, 4183}}
	case "ppc64le":
		return []call{{unix.AUDIT_ARCH_PPC64LE, 326}}
	case "ppc64":
		return []call{{unix.AUDIT_ARCH_PPC64, 326}}
	case "s390x":
		return []call{{unix.AUDIT_ARCH_S390X, 359}}
	}
	return nil
}

// Offsets in struct seccomp_data.
const (
	dataNr   = 0  // nr
	dataArch = 4  // arch
	dataArgs = 16 // args[6], u64 each
)

// low returns the offset of the low half of an argument: socket(2) takes ints, so
// the kernel looks at nothing else, and neither may the filter.
func low(arg uint32, order binary.ByteOrder) uint32 {
	at := dataArgs + 8*arg
	if order.Uint16([]byte{0, 1}) == 1 { // big-endian
		at += 4
	}
	return at
}

// filter returns the program that stops the socket(2) calls for TCP, and lets
// everything else pass. Other system calls are let pass after a look at their
// number alone: so the kernel can remember that, and does not run the filter for
// them at all (since 5.11).
func filter(calls []call, order binary.ByteOrder) []unix.SockFilter {
	load := func(at uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: at}
	}
	equal := func(k uint32, yes, no int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: uint8(yes), Jf: uint8(no), K: k}
	}
	answer := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	check := 1 + 4*len(calls) + 1 // where the arguments are looked at
	f := []unix.SockFilter{load(dataArch)}
	for i, c := range calls {
		at := 1 + 4*i
		f = append(f,
			equal(c.arch, 0, 3), // else to the next architecture
			load(dataNr),
			equal(c.nr, check-(at+3), 0),
			answer(unix.SECCOMP_RET_ALLOW))
	}
	flags := uint32(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK)
	return append(f,
		answer(unix.SECCOMP_RET_ALLOW), // an unknown architecture
		load(low(0, order)),
		equal(unix.AF_INET, 1, 0),
		equal(unix.AF_INET6, 0, 6),
		load(low(1, order)),
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^flags},
		equal(unix.SOCK_STREAM, 0, 3),
		load(low(2, order)),
		equal(0, 2, 0),
		equal(unix.IPPROTO_TCP, 1, 0),
		answer(unix.SECCOMP_RET_ALLOW),
		answer(unix.SECCOMP_RET_USER_NOTIF))
}
