package track

import (
	"slices"
	"syscall"
	"testing"
	"unsafe"
)

// pagesThere returns how many pages of the memory are there.
func pagesThere(t *testing.T, b []byte) int {
	t.Helper()
	page := syscall.Getpagesize()
	there := make([]byte, (len(b)+page-1)/page)
	_, _, errno := syscall.Syscall(syscall.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&there[0])))
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
	page := syscall.Getpagesize()
	memory, err := syscall.Mmap(-1, 0, 64*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(memory)
	if n := pagesThere(t, memory); n != 0 {
		t.Skipf("%d pages of new memory are there already", n)
	}
	populate(memory[page+100 : 33*page+1])
	switch n := pagesThere(t, memory); n {
	case 33:
	case 0:
		t.Skip("the kernel populates nothing: it is older than 5.14")
	default:
		t.Errorf("%d pages are there, want 33", n)
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
