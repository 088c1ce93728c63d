package bpf

import "golang.org/x/sys/unix"

// initialUserNamespace is the inode of the first user namespace (PROC_USER_INIT_INO).
const initialUserNamespace = 0xeffffffd

// MayLoad reports whether the process has CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in
// the initial user namespace: the kernel takes no others for programs that look into
// it. It checks them again; this is to save what is done before.
func MayLoad() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	has := func(c uint) bool { return data[c/32].Effective&(1<<(c%32)) != 0 }
	if !has(unix.CAP_SYS_ADMIN) && !(has(unix.CAP_BPF) && has(unix.CAP_PERFMON)) {
		return unix.EPERM
	}
	var home unix.Stat_t
	if err := unix.Stat("/proc/self/ns/user", &home); err != nil {
		return err
	}
	if home.Ino != initialUserNamespace {
		return unix.EPERM
	}
	return nil
}
