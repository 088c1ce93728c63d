package history

import (
	"time"

	"golang.org/x/sys/unix"
)

// Keep removes the oldest files as long as there is too much of them, they are too old, or
// the disk has too little room. The open file stays.
func (w *Writer) Keep(now time.Time) {
	list, err := files(w.root)
	if err != nil {
		w.config.Log.Warn("the folder of the history cannot be read", "error", err)
		return
	}
	total := int64(0)
	for i := range list {
		total += list[i].Size
	}
	for i := range list {
		f := &list[i]
		if f.Name == w.open.Name {
			return
		}
		why := ""
		switch {
		case total > w.config.Size:
			why = "the history is larger than its bound"
		case now.Sub(f.End) > w.config.Age:
			why = "it is older than its bound"
		case w.scarce():
			why = "the disk is nearly full"
		default:
			return
		}
		if !w.remove(f, why) {
			return
		}
		total -= f.Size
	}
}

// dropOldest removes the oldest closed file and reports whether there was one.
func (w *Writer) dropOldest(why string) bool {
	list, err := files(w.root)
	if err != nil || len(list) == 0 || list[0].Name == w.open.Name {
		return false
	}
	return w.remove(&list[0], why)
}

func (w *Writer) remove(f *File, why string) bool {
	if err := w.root.Remove(f.Name); err != nil {
		w.config.Log.Warn("a file of the history cannot be removed", "file", f.Name, "error", err)
		return false
	}
	w.config.Log.Info("the oldest file of the history was removed", "file", f.Name, "reason", why)
	return true
}

// scarce reports whether less room is free on the disk than should be: five percent or
// [leastFree], whichever is less.
func (w *Writer) scarce() bool {
	var s unix.Statfs_t
	if err := unix.Statfs(w.path, &s); err != nil {
		return false // nobody knows
	}
	free := s.Bavail * uint64(s.Bsize)
	return free < leastFree && free < s.Blocks*uint64(s.Bsize)/20
}
