package kernel

import "golang.org/x/sys/unix"

// Release returns the running kernel's release as `uname -r` prints it, such as
// "6.12.30+deb13-amd64", or "" where uname(2) fails.
func Release() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}
