package cli

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unitProgram starts a program as a unit of systemd would: see startAsUnit.
const unitProgram = "mptcpctl-unit"

// systemCalls has the groups of system calls with their numbers.
const systemCalls = "testdata/unit/calls.amd64.txt"

// unit is the [Service] section of a unit's file: the values of each setting in order.
type unit map[string][]string

func readUnit(name string) (unit, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	u := unit{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(key, "#") {
			u[key] = append(u[key], value)
		}
	}
	return u, nil
}

// startAsUnit becomes the program of its arguments: unit file, user id, file of a control
// group that takes the process ("" for none), program and its arguments.
func startAsUnit() {
	runtime.LockOSThread()
	err := errors.New("too few arguments")
	if len(os.Args) > 4 {
		err = becomeUnit(os.Args[1], os.Args[2], os.Args[3], os.Args[4:])
	}
	fmt.Fprintln(os.Stderr, unitProgram+":", err)
	os.Exit(1)
}

func becomeUnit(file, user, group string, args []string) error {
	u, err := readUnit(file)
	if err != nil {
		return err
	}
	filter, err := u.filter()
	if err != nil {
		return err
	}
	if group != "" {
		if err := os.WriteFile(group, []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			return err
		}
	}
	unix.Umask(0o077)
	uid, err := strconv.Atoi(user)
	if err != nil {
		return err
	}
	if err := u.dropCapabilities(uid); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return syscall.Exec(args[0], args, os.Environ())
}

// dropCapabilities leaves the unit's capabilities, and makes the process one of the user.
func (u unit) dropCapabilities(uid int) error {
	bounding, err := capabilitySet(u["CapabilityBoundingSet"])
	if err != nil {
		return err
	}
	ambient, err := capabilitySet(u["AmbientCapabilities"])
	if err != nil {
		return err
	}
	for c := range uintptr(unix.CAP_LAST_CAP + 1) {
		if bounding&(1<<c) == 0 {
			_ = unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0) // a kernel may not have the last ones
		}
	}
	held := bounding // of root
	if uid != 0 {
		held = ambient
		err := errors.Join(unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0), syscall.Setgroups(nil),
			syscall.Setresgid(uid, uid, uid), syscall.Setresuid(uid, uid, uid))
		if err != nil {
			return err
		}
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: held, Permitted: held, Inheritable: ambient}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	for c := range uintptr(32) {
		if ambient&(1<<c) != 0 {
			if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, c, 0, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// capabilitySet reads names of capabilities. The units need no other one.
func capabilitySet(values []string) (set uint32, err error) {
	for _, name := range strings.Fields(strings.Join(values, " ")) {
		if name != "CAP_NET_ADMIN" {
			return 0, fmt.Errorf("capability %s is not known to this test", name)
		}
		set |= 1 << unix.CAP_NET_ADMIN
	}
	return set, nil
}

// filter is what the unit's lists of system calls and of address families make of a call.
func (u unit) filter() ([]unix.SockFilter, error) {
	allowed, err := u.allowedCalls()
	if err != nil {
		return nil, err
	}
	const (
		offsetCall, offsetArch, offsetArgument = 0, 4, 16 // struct seccomp_data
		archAMD64                              = 0xc000003e
	)
	refuse := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
	allow := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	equal := func(k uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: yes, Jf: no}
	}
	families := []uint32{unix.AF_NETLINK, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6}
	if got := strings.Join(u["RestrictAddressFamilies"], " "); got != "AF_NETLINK AF_UNIX AF_INET AF_INET6" {
		return nil, fmt.Errorf("address families %q are not known to this test", got)
	}
	program := []unix.SockFilter{load(offsetArch), equal(archAMD64, 1, 0), refuse, load(offsetCall)}
	program = append(program, equal(unix.SYS_SOCKET, 0, uint8(2*len(families)+2)), load(offsetArgument))
	for _, family := range families {
		program = append(program, equal(family, 0, 1), allow)
	}
	program = append(program, unix.SockFilter{
		Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT),
	})
	for _, call := range allowed {
		program = append(program, equal(call, 0, 1), allow)
	}
	return append(program, refuse), nil
}

// allowedCalls evaluates the unit's SystemCallFilter lines one after the other.
func (u unit) allowedCalls() ([]uint32, error) {
	groups, err := callGroups()
	if err != nil {
		return nil, err
	}
	if got := u["SystemCallErrorNumber"]; !slices.Equal(got, []string{"EPERM"}) {
		return nil, fmt.Errorf("SystemCallErrorNumber is %q: a call that is not on the list would kill the service", got)
	}
	set := map[uint32]bool{}
	for _, line := range u["SystemCallFilter"] {
		names, denied := strings.CutPrefix(line, "~")
		for _, name := range strings.Fields(names) {
			calls, ok := groups[name]
			if !ok {
				return nil, fmt.Errorf("SystemCallFilter: %s is not in %s", name, systemCalls)
			}
			for _, call := range calls {
				set[call] = !denied
			}
		}
	}
	var allowed []uint32
	for call, yes := range set {
		if yes {
			allowed = append(allowed, call)
		}
	}
	slices.Sort(allowed)
	return allowed, nil
}

// callGroups returns the numbers of the system calls of each group, and of each call by name.
func callGroups() (map[string][]uint32, error) {
	text, err := os.ReadFile(systemCalls)
	if err != nil {
		return nil, err
	}
	groups := map[string][]uint32{
		"landlock_create_ruleset": {unix.SYS_LANDLOCK_CREATE_RULESET}, "landlock_add_rule": {unix.SYS_LANDLOCK_ADD_RULE},
		"landlock_restrict_self": {unix.SYS_LANDLOCK_RESTRICT_SELF},
	}
	var group string
	for line := range strings.Lines(string(text)) {
		switch fields := strings.Fields(line); {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "@"):
			group = fields[0]
		case len(fields) == 2 && group != "" && strings.HasPrefix(line, "\t"):
			number, err := strconv.ParseUint(fields[1], 10, 32)
			if err != nil {
				return nil, err
			}
			groups[group] = append(groups[group], uint32(number))
			groups[fields[0]] = []uint32{uint32(number)}
		}
	}
	return groups, nil
}
