package pathmanager

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// stormChildEnv marks the process of TestStormUnderSeccomp in which bpf(2) kills.
const stormChildEnv = "MPTCPCTL_STORM_UNDER_SECCOMP"

// A service may run under a seccomp list without bpf(2), such as systemd's
// @system-service, which kills the process that makes the call. A listener without the
// privileges of a ring must outlive a storm of events there.
func TestStormUnderSeccomp(t *testing.T) {
	labtest.NeedListenerEvents(t)
	ns := labtest.MPTCP(t)
	if os.Getenv(stormChildEnv) == "" {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestStormUnderSeccomp$", "-test.count=1")
		cmd.Env = append(os.Environ(), stormChildEnv+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("the process ended: %v\n%s", err, out)
		}
		return
	}
	addAddresses(t, ns, first)
	fd, _ := mptcpListener(t, ns, anywhere)
	inside(t, ns, func() error { return stormWithoutBPF(t, fd) })
}

// stormWithoutBPF reads a storm of events of the socket on the calling thread, which
// loses what it needs for bpf(2) first. The call kills the process from then on.
func stormWithoutBPF(t *testing.T, socket int) error {
	l, err := Listen(&ListenConfig{moveAfter: 100})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := keepCapabilities(unix.CAP_NET_ADMIN); err != nil {
		return err
	}
	if err := killOn(unix.SYS_BPF); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	var storm sync.WaitGroup
	defer storm.Wait()
	storm.Go(func() {
		for ctx.Err() == nil && unix.Listen(socket, 16) == nil {
		}
	})
	for _, err := range l.Events(ctx) {
		if err != nil {
			return err
		}
		if !l.move.possible {
			stop()
		}
	}
	if l.move.possible || l.Lost() != 0 {
		t.Errorf("the ring was not tried (%v), or events were lost (%d)", l.move.possible, l.Lost())
	}
	return nil
}

// killOn has the kernel kill the process when the calling thread makes the system call.
func killOn(call uint32) error {
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&filter)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return errno
	}
	return nil
}
