package bpf

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// License is what the kernel asks for the helpers that read its memory. The
// instructions may be used under either.
const License = "Dual BSD/GPL"

// Syscall calls bpf(2). The error is a plain errno.
func Syscall(command int, attr unsafe.Pointer, size uintptr) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(attr), size)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// loadRetries is how often a program is loaded again that a signal stopped.
const loadRetries = 10

// Load loads a program and returns its descriptor. Attach is the expected type of
// attachment, and target the BTF type that the program is attached to; both are 0
// for types that have neither. CAP_BPF is needed, and CAP_PERFMON for most.
func Load(typ uint32, code []byte, attach, target uint32) (int, error) {
	license := append([]byte(License), 0)
	attr := struct {
		typ, count           uint32
		code, license        uint64
		logLevel, logSize    uint32
		log                  uint64
		kernel, flags        uint32
		name                 [16]byte
		ifindex, attach      uint32
		btf, funcSize        uint32
		funcs                uint64
		funcCount, lineSize  uint32
		lines                uint64
		lineCount, attachBTF uint32
	}{
		typ: typ, count: uint32(len(code) / 8),
		code: uint64(
			uintptr(unsafe.Pointer(unsafe.SliceData(code))),
		), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
		attach: attach, attachBTF: target,
	}
	fd, err := Syscall(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	// The verifier gives up when a signal comes, and the runtime sends itself some.
	for range loadRetries {
		if err != unix.EAGAIN {
			break
		}
		fd, err = Syscall(unix.BPF_PROG_LOAD, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	}
	runtime.KeepAlive(code)
	runtime.KeepAlive(license)
	return fd, os.NewSyscallError("bpf program", err)
}

// Iterate attaches an iterator program and returns a file that runs it when it is
// read (Linux 5.8). Both outlive the program's own descriptor.
func Iterate(program int) (*os.File, error) {
	link := struct {
		program, target, attach, flags uint32
		info                           uint64
		infoLen, _                     uint32
	}{program: uint32(program), attach: unix.BPF_TRACE_ITER}
	linked, err := Syscall(unix.BPF_LINK_CREATE, unsafe.Pointer(&link), unsafe.Sizeof(link))
	if err != nil {
		return nil, os.NewSyscallError("bpf link", err)
	}
	defer unix.Close(linked)
	attr := struct{ link, flags uint32 }{link: uint32(linked)}
	fd, err := Syscall(unix.BPF_ITER_CREATE, unsafe.Pointer(&attr), unsafe.Sizeof(attr))
	if err != nil {
		return nil, os.NewSyscallError("bpf iterator", err)
	}
	return os.NewFile(uintptr(fd), "bpf iterator"), nil
}
