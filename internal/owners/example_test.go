package owners_test

import (
	"context"
	"fmt"
	"os"

	"mptcpctl/internal/owners"

	"golang.org/x/sys/unix"
)

// The processes that hold a socket, by the inode that the kernel gives.
func ExampleProcesses() {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		fmt.Println(err)
		return
	}
	inode := uint32(stat.Ino)
	owners, err := owners.Processes(context.Background(), func(i uint32) bool { return i == inode })
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range owners[inode] {
		fmt.Println("this process:", p.PID == os.Getpid())
	}
	// Output: this process: true
}
