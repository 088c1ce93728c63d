package track

import (
	"errors"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pagesThere returns how many pages of the memory are there.
func pagesThere(t *testing.T, b []byte) int {
	t.Helper()
	page := unix.Getpagesize()
	there := make([]byte, (len(b)+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&there[0])))
	if errno != 0 {
		t.Fatal(errno)
	}
	n := 0
	for _, p := range there {
		n += int(p & 1)
	}
	return n
}

func TestPopulate(t *testing.T) {
	page := unix.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 64*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	if err := unix.Madvise(memory[63*page:], unix.MADV_POPULATE_WRITE); errors.Is(err, unix.EINVAL) {
		t.Skip("the kernel populates no memory: it is older than 5.14")
	}
	before := pagesThere(t, memory)
	populate(memory[page+100 : 33*page+1])
	if n := pagesThere(t, memory) - before; before != 1 || n != 32 {
		t.Errorf("%d pages were there and %d came, want 1 and 32", before, n)
	}
	populate(memory[40*page+1 : 40*page+2]) // no whole page
	if n := pagesThere(t, memory) - before; n != 32 {
		t.Errorf("%d pages came, want 32", n)
	}
}

func TestFresh(t *testing.T) {
	for _, n := range []int{0, 1, 100, arenaBlock, 100_000} {
		records := fresh[listedSubflow](n)
		if len(records) != n || slices.ContainsFunc(records, func(s listedSubflow) bool { return s != listedSubflow{} }) {
			t.Errorf("%d records: they are %d, or not all zero", n, len(records))
		}
		for i := range records {
			records[i].token = uint32(i)
		}
	}
}
