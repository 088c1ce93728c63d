package cli

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// checkDeviceName reports whether the kernel could have a device of that name.
func checkDeviceName(name string) bool {
	return name != "" && len(name) < unix.IFNAMSIZ && !strings.ContainsAny(name, "/ \t\n\v\f\r")
}

// deviceIndex returns the index of the device of that name. Like iproute2, it
// takes "ifN" for the index N where there is no such name.
func deviceIndex(name string) (int32, bool) {
	if index, err := askDevice(name); err == nil {
		return index, true
	}
	if digits, ok := strings.CutPrefix(name, "if"); ok {
		n, err := strconv.ParseUint(digits, 10, 31)
		return int32(n), err == nil && n > 0
	}
	return 0, false
}

func askDevice(name string) (int32, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := deviceIoctl(unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return int32(request.Uint32()), nil
}

// deviceName returns the name of the device with that index, "ifN" where there is
// none.
func deviceName(index int32) string {
	if name, err := nameDevice(index); err == nil {
		return name
	}
	return "if" + strconv.Itoa(int(index))
}

func nameDevice(index int32) (string, error) {
	request, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	request.SetUint32(uint32(index))
	if err := deviceIoctl(unix.SIOCGIFNAME, request); err != nil {
		return "", err
	}
	return request.Name(), nil
}

// deviceIoctl asks the kernel about one device of the thread's network namespace:
// a single system call, where a dump of all devices would cost more than the rest
// of a command.
func deviceIoctl(op uint, request *unix.Ifreq) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, op, request)
}
