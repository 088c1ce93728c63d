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
	accepted []stamp // as they were read
	refused  []stamp // as they were when they could not be read
	latest   []stamp
}

// stamp tells a file from what it was before. What is not there has none.
type stamp struct {
	time time.Time
	size int64
	mode os.FileMode
}

// newWatch watches files that are about to be read. A name may be empty.
func newWatch(names ...string) watch {
	w := watch{names: names}
	w.latest = w.now()
	w.accept()
	return w
}

func (w *watch) now() []stamp {
	stamps := make([]stamp, len(w.names))
	for i, name := range w.names {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size(), info.Mode()}
		}
	}
	return stamps
}

// changed reports whether the files should be read anew. The caller then accepts or
// refuses what they are now; it is asked to try again what it has refused.
func (w *watch) changed() bool {
	if time.Since(w.looked) < watchPause {
		return false
	}
	w.looked = time.Now()
	w.latest = w.now()
	return !slices.Equal(w.latest, w.accepted)
}

// accept says that the files were read.
func (w *watch) accept() { w.accepted, w.refused = w.latest, nil }

// refuse says that they cannot be read, and reports whether that is news.
func (w *watch) refuse() (news bool) {
	news = !slices.Equal(w.latest, w.refused)
	w.refused = w.latest
	return news
}
