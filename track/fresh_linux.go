package track

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// manyPages is from how many bytes on memory is asked for at once.
const manyPages = 32 << 10

// fresh returns n zero records, which will all be written to soon. The kernel is asked
// for their memory in one go, in place of one fault a page: that is a tenth of a long
// list's time where a fault is dear, as in a virtual machine within another. T must not
// have pointers.
func fresh[T any](n int) []T {
	records := make([]T, n)
	if size := n * int(unsafe.Sizeof(*new(T))); size >= manyPages {
		populate(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(records))), size))
	}
	return records
}

// populate has the kernel give the memory its whole pages (Linux 5.14). Refused, they
// come one by one.
func populate(b []byte) {
	page := uintptr(unix.Getpagesize())
	if skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (page - 1); skip < uintptr(len(b)) {
		_ = unix.Madvise(b[skip:], unix.MADV_POPULATE_WRITE)
	}
}
