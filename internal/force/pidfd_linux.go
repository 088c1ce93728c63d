package force

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pidfdThread    = unix.O_EXCL // PIDFD_THREAD, since Linux 6.9
	pidfdInfoCreds = 1 << 1      // PIDFD_INFO_CREDS
	pidfdGetInfo   = 0xc040ff0b  // PIDFD_GET_INFO of 64 bytes, since 6.13; the same on all architectures
)

// threadInfo is struct pidfd_info as it was first.
type threadInfo struct {
	mask         uint64
	cgroup       uint64
	pid, tgid    uint32
	ppid         uint32
	ruid, rgid   uint32
	euid, egid   uint32
	suid, sgid   uint32
	fsuid, fsgid uint32
	exitCode     int32
}

// pidfdInfo asks the kernel for a thread's credentials without the detour over
// text.
func pidfdInfo(tid uint32) (threadInfo, error) {
	info := threadInfo{mask: pidfdInfoCreds}
	fd, err := unix.PidfdOpen(int(tid), pidfdThread)
	if err != nil {
		return info, err
	}
	defer unix.Close(fd)
	if _, err := ioctl(fd, pidfdGetInfo, unsafe.Pointer(&info)); err != nil {
		return info, err
	}
	if info.mask&pidfdInfoCreds == 0 {
		return info, unix.ESRCH
	}
	return info, nil
}
