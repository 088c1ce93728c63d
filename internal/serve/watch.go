package serve

import (
	"os"
	"slices"
	"time"
)

// watchPause is how often files are looked at, at most: when a client comes.
const watchPause = time.Second

// watch tells when files are no longer as they were read.
type watch struct {
	names    []string
	looked   time.Time
	accepted []os.FileInfo // as they were read; nil: the file was not there
	refused  []os.FileInfo // as they were when they could not be read
	latest   []os.FileInfo
}

// newWatch watches files that are about to be read. A name may be empty.
func newWatch(names ...string) watch {
	w := watch{names: names}
	w.latest = w.now()
	w.accept()
	return w
}

func (w *watch) now() []os.FileInfo {
	files := make([]os.FileInfo, len(w.names))
	for i, name := range w.names {
		if info, err := os.Stat(name); err == nil {
			files[i] = info
		}
	}
	return files
}

// same reports whether a file is as it was. Another file may have the same size and time: of
// two that were written within a tick of the kernel's clock, a link may lead to one after the
// other.
func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

// changed reports whether the files should be read anew. The caller then accepts or
// refuses what they are now; it is asked to try again what it has refused.
func (w *watch) changed() bool {
	if time.Since(w.looked) < watchPause {
		return false
	}
	w.looked = time.Now()
	w.latest = w.now()
	return !slices.EqualFunc(w.latest, w.accepted, same)
}

// accept says that the files were read.
func (w *watch) accept() { w.accepted, w.refused = w.latest, nil }

// refuse says that they cannot be read, and reports whether that is news.
func (w *watch) refuse() (news bool) {
	news = !slices.EqualFunc(w.latest, w.refused, same)
	w.refused = w.latest
	return news
}
