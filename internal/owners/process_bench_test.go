package owners

import (
	"strconv"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkProcesses compares the walk over all processes with the least that any
// walk does: read each directory, read each link. The number of descriptors is
// that of the whole machine and 10,000 of our own.
func BenchmarkProcesses(b *testing.B) {
	const own = 10000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		b.Fatal(err)
	}
	if limit.Cur < own+100 {
		b.Skipf("at most %d descriptors are allowed", limit.Cur)
	}
	wanted := map[uint32]bool{}
	for range own {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			b.Fatal(err)
		}
		wanted[uint32(stat.Ino)] = true
	}
	files := 0
	b.Run("walk", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			walk, err := WalkProcesses(b.Context(), "", func(inode uint32) bool { return wanted[inode] })
			if err != nil || len(walk.Owners) != own {
				b.Fatalf("%d sockets, %v", len(walk.Owners), err)
			}
			files = walk.Files
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(files), "ns/fd")
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			files = bareWalk(b)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(files), "ns/fd")
	})
}

// bareWalk reads every link of every process and keeps nothing.
func bareWalk(b *testing.B) (files int) {
	proc, err := unix.Open("/proc", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(proc)
	buffer, link := make([]byte, 32<<10), make([]byte, 64)
	err = eachName(proc, make([]byte, 32<<10), func(name []byte) error {
		pid, ok := parseNumber(name)
		if !ok {
			return nil
		}
		dir, err := unix.Open("/proc/"+strconv.FormatUint(pid, 10)+"/fd", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return nil
		}
		defer unix.Close(dir)
		for {
			n, err := unix.Getdents(dir, buffer)
			if err != nil || n <= 0 {
				return nil
			}
			for entries := buffer[:n]; len(entries) > direntName; {
				unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(&entries[direntName])),
					uintptr(unsafe.Pointer(&link[0])), uintptr(len(link)), 0, 0)
				files++
				entries = entries[int(entries[direntLength])|int(entries[direntLength+1])<<8:]
			}
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	return files
}
