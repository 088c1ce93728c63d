package device

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ValidName reports whether the kernel could have a device of that name.
func ValidName(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && !strings.ContainsAny(name, "/ \t\n\v\f\r")
}

// Index returns the index of the device of that name. Like iproute2, it
// takes "ifN" for the index N where there is no such name.
func Index(name string) (int32, bool) {
	if index, err := Lookup(name); err == nil {
		return index, true
	}
	if digits, ok := strings.CutPrefix(name, "if"); ok {
		n, err := strconv.ParseUint(digits, 10, 31)
		return int32(n), err == nil && n > 0
	}
	return 0, false
}

// Lookup returns the index of the device of that name. The error is a [syscall.Errno].
func Lookup(name string) (int32, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := askKernel(unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return int32(request.Uint32()), nil
}

// Name returns the name of the device with that index, "ifN" where there is
// none.
func Name(index int32) string {
	if name, err := NameOf(index); err == nil {
		return name
	}
	return "if" + strconv.Itoa(int(index))
}

// NameOf returns the name of the device with that index. The error is a [syscall.Errno].
func NameOf(index int32) (string, error) {
	request, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	request.SetUint32(uint32(index))
	if err := askKernel(unix.SIOCGIFNAME, request); err != nil {
		return "", err
	}
	return request.Name(), nil
}

// askKernel asks the kernel about one device of the thread's network namespace:
// a single system call, where a dump of all devices would cost more than the rest
// of a command.
func askKernel(op uint, request *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, op, request)
}

// Own is [NameOf] for [Names]: the network namespace is always the program's own.
func Own(_ string, index int32) (string, bool) {
	name, err := NameOf(index)
	return name, err == nil
}
