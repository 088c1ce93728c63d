package live_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mptcpctl/internal/lab"
	"mptcpctl/internal/owners"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// forgerArg makes the test binary a forger.
const forgerArg = "forge-events"

// forger is a process that is root of a user namespace: it says "ready", reads
// "FAMILY GROUP TOKEN N INODE…", sends events to the group, and to those listeners of
// the group that it sees and that are among the N sockets, and says how many were
// sent and how many the kernel refused. It ends with its input.
func forger() int {
	if lo, err := netlink.LinkByName("lo"); err == nil {
		_ = netlink.LinkSetUp(lo) // where the network is another's it is up
	}
	fmt.Println("ready")
	var f pathmanager.Family
	var token mptcp.Token
	in := bufio.NewReader(os.Stdin)
	var n int
	if _, err := fmt.Fscan(in, &f.ID, &f.Events, &token, &n); err != nil {
		fmt.Println(err)
		return 1
	}
	victims := make([]uint32, n)
	for i := range victims {
		if _, err := fmt.Fscan(in, &victims[i]); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	to := []unix.SockaddrNetlink{{Family: unix.AF_NETLINK, Groups: 1 << (f.Events - 1)}}
	ports, err := listenerPorts(victims)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, port := range ports {
		to = append(to, unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port})
	}
	sent, refused := 0, 0
	for i := range to {
		for range 5 {
			for _, msg := range [][]byte{forgery(f, mptcp.EventClosed, token), forgery(f, mptcp.EventCreated, forgedToken)} {
				switch err := sendTo(&to[i], msg); {
				case err == nil:
					sent++
				case errors.Is(err, unix.EPERM):
					refused++
				default:
					fmt.Println(err)
					return 1
				}
			}
		}
	}
	fmt.Println(sent, refused, len(ports))
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// listenerPorts returns the port ids of those of the sockets that listen to groups of
// generic netlink in this network namespace. Another program that watches all
// namespaces of the machine may have its own there.
func listenerPorts(of []uint32) (ports []uint32, err error) {
	table, err := os.ReadFile("/proc/thread-self/net/netlink")
	for line := range strings.Lines(string(table)) {
		var sk string
		var protocol, port, groups, rmem, wmem, dump, locks, drops, inode uint32
		n, _ := fmt.Sscanf(
			line,
			"%s %d %d %x %d %d %d %d %d %d",
			&sk,
			&protocol,
			&port,
			&groups,
			&rmem,
			&wmem,
			&dump,
			&locks,
			&drops,
			&inode,
		)
		if n == 10 && protocol == unix.NETLINK_GENERIC && groups != 0 && slices.Contains(of, inode) {
			ports = append(ports, port)
		}
	}
	return ports, err
}

// forgedToken is the token of a connection that is not there.
const forgedToken mptcp.Token = 0xdeadbeef

// forgery is an event with a token, as the kernel would send it.
func forgery(f pathmanager.Family, typ mptcp.EventType, token mptcp.Token) []byte {
	ne := binary.NativeEndian
	msg := ne.AppendUint32(nil, 28)
	msg = ne.AppendUint16(msg, f.ID)
	msg = append(msg, make([]byte, 10)...)            // flags, sequence number and port
	msg = append(msg, byte(typ), 1, 0, 0)             // generic netlink header
	msg = ne.AppendUint16(ne.AppendUint16(msg, 8), 1) // MPTCP_ATTR_TOKEN
	return ne.AppendUint32(msg, uint32(token))
}

// sendTo sends a message from a new socket in the calling thread's namespace.
func sendTo(to *unix.SockaddrNetlink, msg []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, msg, 0, to)
}

// forging is a forger at work.
type forging struct {
	pid int
	in  io.WriteCloser
	out *bufio.Reader
}

// startForger starts a forger in a user namespace of its own, and these others.
func startForger(t *testing.T, ns *lab.Namespace, flags uintptr) *forging {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, forgerArg)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | flags,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, ns.Start(cmd)); err != nil {
		t.Fatal(err)
	}
	f := &forging{cmd.Process.Pid, in, bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait() // the context may have ended it
	})
	if line, err := f.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("the forger says %q: %v", line, err)
	}
	return f
}

// forge has it send events that say that the connection is closed. It returns how
// many were sent, how many the kernel refused, and how many listeners it saw.
func (f *forging) forge(t *testing.T, family pathmanager.Family, token mptcp.Token) (sent, refused, listeners int) {
	t.Helper()
	own, err := owners.SocketsOf(0)
	if err != nil {
		t.Fatal(err)
	}
	inodes := strings.Trim(fmt.Sprint(slices.Collect(maps.Keys(own))), "[]")
	if _, err := fmt.Fprintln(f.in, family.ID, family.Events, uint32(token), len(own), inodes); err != nil {
		t.Fatal(err)
	}
	line, err := f.out.ReadString('\n')
	if n, _ := fmt.Sscan(line, &sent, &refused, &listeners); n != 3 {
		t.Fatalf("the forger says %q: %v", line, err)
	}
	return sent, refused, listeners
}
