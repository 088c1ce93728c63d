package force

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// program is the program to be run: it does what its first argument says.
func program(args []string) int {
	switch args[0] {
	case "protocol": // prints the protocol of one TCP socket
		fmt.Println(protocolOf(unix.AF_INET, unix.SOCK_STREAM, 0))
	case "sockets":
		return printSockets()
	case "storm":
		return storm(args[1], args[2])
	case "exit":
		code, _ := strconv.Atoi(args[1])
		return code
	case "kill":
		n, _ := strconv.Atoi(args[1])
		_ = syscall.Kill(os.Getpid(), syscall.Signal(n))
		time.Sleep(time.Minute)
	case "trap": // prints the first signal that comes
		signals := make(chan os.Signal, 100)
		signal.Notify(signals)
		fmt.Println("ready")
		for s := range signals {
			if s != syscall.SIGURG { // the runtime's own: it comes at any time
				fmt.Println(s)
				break
			}
		}
	case "child": // runs itself once more
		cmd := exec.Command("/proc/self/exe", append([]string{"run-program"}, args[1:]...)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return 1
		}
	case "orphan": // leaves a child behind that asks when it is told to
		return leaveOrphan(args[1])
	case "orphaned":
		return orphaned(args[1])
	case "elsewhere": // prints the protocol of a socket in a new network namespace
		return elsewhere()
	case "dropped": // prints the owner of a socket after setuid
		return dropped(args[1])
	case "full": // has no descriptor left
		return full()
	case "elsewhere-user": // runs protocol in new user and network namespaces
		cmd := exec.Command("/proc/self/exe", "run-program", "protocol")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET}
		if err := cmd.Run(); err != nil {
			fmt.Println(err)
		}
	case "stop": // stops itself
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return 3
	case "privs":
		fmt.Println(hasNoNewPrivs())
	case "facts":
		return facts()
	case "time":
		n, _ := strconv.Atoi(args[1])
		fmt.Println(timeSockets(n).Nanoseconds())
	}
	return 0
}

// protocolOf returns the protocol that a socket gets, or the error.
func protocolOf(family, kind, protocol int) string {
	fd, err := unix.Socket(family, kind, protocol)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return err.Error()
	}
	return strconv.Itoa(got)
}

// printSockets prints what becomes of each kind of socket, with its flags.
func printSockets() int {
	kinds := []struct {
		name                   string
		family, kind, protocol int
	}{
		{"inet", unix.AF_INET, unix.SOCK_STREAM, 0},
		{"inet tcp", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP},
		{"inet6", unix.AF_INET6, unix.SOCK_STREAM, 0},
		{"inet6 tcp cloexec", unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.IPPROTO_TCP},
		{"inet nonblock", unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_NONBLOCK, 0},
		{"inet both", unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC, 0},
		{"mptcp", unix.AF_INET, unix.SOCK_STREAM, 262},
		{"udp", unix.AF_INET, unix.SOCK_DGRAM, 0},
		{"udp6 cloexec", unix.AF_INET6, unix.SOCK_DGRAM | unix.SOCK_CLOEXEC, unix.IPPROTO_UDP},
		{"unix", unix.AF_UNIX, unix.SOCK_STREAM, 0},
		{"netlink", unix.AF_NETLINK, unix.SOCK_RAW, 0},
		{"sctp", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP},
		{"bad kind", unix.AF_INET, unix.SOCK_STREAM | 0x4000, 0},
		{"seqpacket", unix.AF_INET, unix.SOCK_SEQPACKET, 0},
	}
	for _, k := range kinds {
		fd, err := unix.Socket(k.family, k.kind, k.protocol)
		if err != nil {
			fmt.Printf("%s: %v\n", k.name, err)
			continue
		}
		protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
		ours, err2 := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		theirs, err3 := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err := errors.Join(err, err2, err3); err != nil {
			fmt.Printf("%s: %v\n", k.name, err)
		}
		fmt.Printf(
			"%s: %d cloexec=%v nonblock=%v\n",
			k.name,
			protocol,
			ours&unix.FD_CLOEXEC != 0,
			theirs&unix.O_NONBLOCK != 0,
		)
		unix.Close(fd)
	}
	return 0
}

// storm makes sockets on many threads at once when its input ends, checks each, and
// prints how many were right.
func storm(threads, each string) int {
	_, _ = io.Copy(io.Discard, os.Stdin)
	n, _ := strconv.Atoi(threads)
	m, _ := strconv.Atoi(each)
	var mu sync.Mutex
	right, wrong := 0, map[string]int{}
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			for range m {
				fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
				what := ""
				if err != nil {
					what = err.Error()
				} else {
					p, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
					if err != nil || p != 262 || fd < 3 {
						what = fmt.Sprintf("fd %d protocol %d %v", fd, p, err)
					}
					unix.Close(fd)
				}
				mu.Lock()
				if what == "" {
					right++
				} else {
					wrong[what]++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	fmt.Println(right, wrong)
	return 0
}

// leaveOrphan starts a child of its own session that outlives it.
func leaveOrphan(fifo string) int {
	cmd := exec.Command("/proc/self/exe", "run-program", "orphaned", fifo)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// orphaned waits until the pipe is opened, and writes the protocol of a socket.
func orphaned(fifo string) int {
	file, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		return 1
	}
	defer file.Close()
	fmt.Fprint(file, protocolOf(unix.AF_INET, unix.SOCK_STREAM, 0))
	return 0
}

// elsewhere prints whether a socket made in a new network namespace belongs there,
// and its protocol.
func elsewhere() int {
	runtime.LockOSThread() // the namespace is the thread's
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		fmt.Println(err)
		return 1
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer unix.Close(fd)
	protocol, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	ns, err := unix.IoctlRetInt(fd, unix.SIOCGSKNS)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer unix.Close(ns)
	var socket, thread unix.Stat_t
	if err := errors.Join(unix.Fstat(ns, &socket), unix.Stat("/proc/thread-self/ns/net", &thread)); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(protocol, socket.Ino == thread.Ino)
	return 0
}

// dropped prints the owner of a socket that is made after the user was changed.
func dropped(to string) int {
	uid, _ := strconv.Atoi(to)
	if err := syscall.Setuid(uid); err != nil {
		fmt.Println(err)
		return 1
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	protocol, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err := unix.Fstat(fd, &st); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(protocol, st.Uid)
	return 0
}

// full prints what socket says where no descriptor is left.
func full() int {
	limit := unix.Rlimit{Cur: 64, Max: 64}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	var open []int
	for {
		fd, err := unix.Dup(2)
		if err != nil {
			break
		}
		open = append(open, fd)
	}
	got := protocolOf(unix.AF_INET, unix.SOCK_STREAM, 0)
	for _, fd := range open {
		unix.Close(fd)
	}
	fmt.Println(got)
	fmt.Println(protocolOf(unix.AF_INET, unix.SOCK_STREAM, 0))
	return 0
}

// facts prints what a program sees of its place.
func facts() int {
	dir, _ := os.Getwd()
	group, _ := unix.Getpgid(0)
	session, _ := unix.Getsid(0)
	_, children := unix.Wait4(-1, nil, unix.WNOHANG, nil)
	fmt.Println(group, session, dir, children)
	for fd := 3; fd < 20; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			fmt.Println("open", fd)
		}
	}
	fmt.Println(os.Environ())
	return 0
}

// timeSockets returns the mean time of a socket call.
func timeSockets(n int) time.Duration {
	start := time.Now()
	for range n {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0
		}
		unix.Close(fd)
	}
	return time.Since(start) / time.Duration(n)
}
