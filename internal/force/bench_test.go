package force

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSupervisor measures what the supervisor does for one socket besides
// talking to the kernel about the notification.
func BenchmarkSupervisor(b *testing.B) {
	c := newCaller(uint32(os.Getpid()))
	b.Run("tcp socket", func(b *testing.B) {
		for b.Loop() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
		}
	})
	b.Run("mptcp socket", func(b *testing.B) {
		for b.Loop() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocolMPTCP)
			if err != nil {
				b.Skip(err)
			}
			unix.Close(fd)
		}
	})
	b.Run("namespace", func(b *testing.B) {
		for b.Loop() {
			if _, err := namespaceAt(c.path + "/ns/net"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("credentials", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := c.credentials(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
