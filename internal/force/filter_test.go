package force

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// machine runs a filter. The virtual machine loads big-endian words, so the filter
// and its data are made for such a host.
func machine(t testing.TB, calls []call) *bpf.VM {
	t.Helper()
	var code []bpf.RawInstruction
	for _, i := range filter(calls, binary.BigEndian) {
		code = append(code, bpf.RawInstruction{Op: i.Code, Jt: i.Jt, Jf: i.Jf, K: i.K})
	}
	program, ok := bpf.Disassemble(code)
	if !ok {
		t.Fatal("the filter has an unknown instruction")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}

// data encodes struct seccomp_data.
func data(nr, arch uint32, args ...uint64) []byte {
	b := binary.BigEndian.AppendUint32(nil, nr)
	b = binary.BigEndian.AppendUint32(b, arch)
	b = binary.BigEndian.AppendUint64(b, 0xffff_ffff_ffff)
	for i := range 6 {
		var arg uint64
		if i < len(args) {
			arg = args[i]
		}
		b = binary.BigEndian.AppendUint64(b, arg)
	}
	return b
}

// stops is what the filter should do, said without jumps.
func stops(calls []call, nr, arch uint32, domain, kind, protocol uint64) bool {
	known := false
	for _, c := range calls {
		known = known || c == call{arch, nr}
	}
	d, k, p := int32(domain), int32(kind), int32(protocol)
	return known && (d == unix.AF_INET || d == unix.AF_INET6) &&
		k&^(unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK) == unix.SOCK_STREAM && (p == 0 || p == 6)
}

var arches = []string{
	"amd64",
	"386",
	"arm64",
	"arm",
	"riscv64",
	"loong64",
	"mipsle",
	"mips",
	"mips64le",
	"mips64",
	"ppc64le",
	"ppc64",
	"s390x",
}

func TestFilter(t *testing.T) {
	for _, goarch := range arches {
		calls := socketCalls(goarch)
		vm := machine(t, calls)
		numbers := []uint32{0, 40, 41, 42, 102, 41 | 0x40000000, 198, 281, 326, 359, 4183, 5040}
		systems := []uint32{
			0,
			unix.AUDIT_ARCH_X86_64,
			unix.AUDIT_ARCH_I386,
			unix.AUDIT_ARCH_AARCH64,
			unix.AUDIT_ARCH_ARM,
		}
		for _, c := range calls {
			systems = append(systems, c.arch)
		}
		stopped := 0
		for _, arch := range systems {
			for _, nr := range numbers {
				for _, domain := range []uint64{0, 1, 2, 10, 16, 2 | 7<<32} {
					for _, kind := range []uint64{unix.SOCK_STREAM, unix.SOCK_DGRAM, 3, 5, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC, unix.SOCK_STREAM | 0x4000} {
						for _, protocol := range []uint64{0, 6, 17, 132, 262, 6 | 1<<40, 1 << 31} {
							check(t, vm, calls, nr, arch, domain, kind, protocol)
							if stops(calls, nr, arch, domain, kind, protocol) {
								stopped++
							}
						}
					}
				}
			}
		}
		if stopped == 0 {
			t.Errorf("%s: nothing is stopped", goarch)
		}
	}
	if socketCalls("pdp11") != nil {
		t.Error("calls of an unknown architecture")
	}
}

// check compares the filter's answer with the plain statement.
func check(t testing.TB, vm *bpf.VM, calls []call, nr, arch uint32, domain, kind, protocol uint64) {
	t.Helper()
	got, err := vm.Run(data(nr, arch, domain, kind, protocol))
	if err != nil {
		t.Fatal(err)
	}
	want := uint32(unix.SECCOMP_RET_ALLOW)
	if stops(calls, nr, arch, domain, kind, protocol) {
		want = unix.SECCOMP_RET_USER_NOTIF
	}
	if uint32(got) != want {
		t.Fatalf("nr %d arch %#x socket(%#x, %#x, %#x): %#x, want %#x", nr, arch, domain, kind, protocol, got, want)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(0, uint32(41), uint32(unix.AUDIT_ARCH_X86_64), uint64(2), uint64(1), uint64(0))
	f.Add(4, uint32(198), uint32(unix.AUDIT_ARCH_RISCV64), uint64(10), uint64(1|unix.SOCK_CLOEXEC), uint64(6))
	f.Fuzz(func(t *testing.T, which int, nr, arch uint32, domain, kind, protocol uint64) {
		calls := socketCalls(arches[uint(which)%uint(len(arches))])
		check(t, machine(t, calls), calls, nr, arch, domain, kind, protocol)
	})
}

// TestNumbers compares the table with the numbers of the system-call package.
func TestNumbers(t *testing.T) {
	if got := socketCalls(runtime.GOARCH)[0].nr; got != unix.SYS_SOCKET {
		t.Errorf("%s: socket is %d, want %d", runtime.GOARCH, got, unix.SYS_SOCKET)
	}
	if got := fmt.Sprint(low(1, binary.LittleEndian), low(1, binary.BigEndian)); got != "24 28" {
		t.Errorf("low halves of the second argument at %s, want 24 28", got)
	}
}
