package history

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"mptcpctl/internal/private"
)

// Config bounds a history. The zero value means the defaults.
type Config struct {
	Size int64         // bytes of all files, default 512 MiB
	Age  time.Duration // how long files are kept, default seven days
	// Sync is how often what was written is brought to the disk, default 5 s. Negative: the
	// open file is held in memory, and the disk sees closed files only, for flash.
	Sync time.Duration
	Log  *slog.Logger // nil: silence
}

// InMemory is a [Config.Sync] with which the open file is held in memory.
const InMemory time.Duration = -1

// The defaults, and the bounds that are not set.
const (
	DefaultSize = 512 << 20
	DefaultAge  = 7 * 24 * time.Hour
	DefaultSync = 5 * time.Second

	largestOpen = 64 << 20 // bytes of a file before it is compressed
	largestHeld = 4 << 20  // the same, while it is held in memory
	leastFree   = 64 << 20 // bytes that stay free on the disk, or five percent of it
	lockName    = "lock"
)

// Writer writes a history. It is not safe for concurrent use.
type Writer struct {
	config  Config
	path    string
	root    *os.Root
	lock    *os.File
	file    *os.File // nil: none is open
	held    []byte   // what the open file holds, while it is held in memory
	open    File
	synced  time.Time
	failing bool
	packing chan error // nil: nothing is being compressed
}

// Make makes the folder of a history for this user, who may be another than that of the
// process. It is the owner's alone.
func Make(path string, uid, gid int) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		err = os.Chmod(path, 0o700)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	made := err == nil
	folder, err := os.OpenFile(path, unix.O_DIRECTORY|os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer folder.Close()
	var s unix.Stat_t
	switch err := unix.Fstat(int(folder.Fd()), &s); {
	case err != nil:
		return &os.PathError{Op: "stat", Path: path, Err: err}
	case int(s.Uid) == uid:
		return nil
	case !made:
		return fmt.Errorf("%s belongs to user %d, and the server writes as user %d: chown -R %[3]d %[1]s, "+
			"or name another user with --user: %[4]w", path, s.Uid, uid, private.ErrForeign)
	}
	return folder.Chown(uid, gid)
}

// Open opens the folder of a history for writing, and brings in order what a crash left.
// It returns the number of the last line that is there. The folder's lock is held until
// Close: a second writer is refused.
func Open(path string, c *Config) (w *Writer, last uint64, err error) {
	w = &Writer{path: path}
	if c != nil {
		w.config = *c
	}
	w.config.Size = orDefault(w.config.Size, DefaultSize)
	w.config.Age = orDefault(w.config.Age, DefaultAge)
	w.config.Sync = orDefault(w.config.Sync, DefaultSync)
	if w.config.Log == nil {
		w.config.Log = slog.New(slog.DiscardHandler)
	}
	folder, err := private.MakeDirectory(path)
	if err != nil {
		return nil, 0, err
	}
	defer folder.Close()
	w.lock, err = folder.Lock(lockName)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, 0, fmt.Errorf("%s: another server writes this history: %w", path, err)
	}
	if err != nil {
		return nil, 0, err
	}
	if w.root, err = os.OpenRoot(path); err != nil {
		return nil, 0, errors.Join(err, w.lock.Close())
	}
	if last, err = w.recover(); err != nil {
		return nil, 0, errors.Join(err, w.root.Close(), w.lock.Close())
	}
	return w, last, nil
}

func orDefault[T int64 | time.Duration](value, other T) T {
	if value == 0 {
		return other
	}
	return value
}

// recover compresses what was left open, and returns the number of the last line.
func (w *Writer) recover() (last uint64, err error) {
	list, err := files(w.root)
	if err != nil {
		return 0, err
	}
	for i := range list {
		f := &list[i]
		if !f.Packed {
			if err := pack(w.root, f); err != nil {
				w.config.Log.Warn("a file of the history cannot be compressed", "file", f.Name, "error", err)
				f.Last = max(f.Last, w.readLast(f))
			}
		}
		last = max(last, f.First-1, f.Last)
	}
	return last, nil
}

// readLast returns the number of the last line of an open file.
func (w *Writer) readLast(f *File) uint64 {
	from, err := w.root.Open(f.Name)
	if err != nil {
		return 0
	}
	defer from.Close()
	last, _, _, _ := extent(from) // what can be read counts
	return last
}

// Due reports whether a new file is due: none is open, the hour is over, or it is large.
func (w *Writer) Due(now time.Time) bool {
	if w.open.First == 0 || w.file == nil && !w.inMemory() {
		return true
	}
	most := int64(largestOpen)
	if w.inMemory() {
		most = largestHeld
	}
	return w.open.Size >= most || !now.Truncate(time.Hour).Equal(w.open.Begin.Truncate(time.Hour))
}

func (w *Writer) inMemory() bool { return w.config.Sync < 0 }

// Begin closes the open file and begins another one, whose first line has that number.
func (w *Writer) Begin(now time.Time, first uint64) error {
	err := w.shut()
	w.Keep(now)
	w.open = File{Name: openName(now, first), Begin: now, First: first}
	if w.inMemory() {
		return err
	}
	w.file, err = w.create(w.open.Name, err)
	return err
}

// create creates a file, for which the oldest one goes where the disk is full.
func (w *Writer) create(name string, before error) (*os.File, error) {
	for {
		f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
		if err == nil || !full(err) || !w.dropOldest("the disk is full") {
			return f, errors.Join(before, err)
		}
	}
}

// ErrDropped says that lines were not kept, because the disk is full or fails.
var ErrDropped = errors.New("lines of the history were dropped")

// Write appends lines, of which last is the number of the last. What does not fit on the disk
// costs the oldest files, and where none is left these lines: the error is then [ErrDropped],
// and whoever wrote them says so in the next line.
func (w *Writer) Write(now time.Time, text []byte, last uint64) error {
	if len(text) == 0 {
		return nil
	}
	if err := w.put(text); err != nil {
		if !w.failing {
			w.config.Log.Warn("the history cannot be written: lines are dropped, and counted", "error", err)
		}
		w.failing = true
		return fmt.Errorf("%w: %w", ErrDropped, err)
	}
	if w.failing {
		w.config.Log.Info("the history is written again")
		w.failing = false
	}
	w.open.Size += int64(len(text))
	w.open.Last = last
	if w.file != nil && now.Sub(w.synced).Abs() >= w.config.Sync {
		w.synced = now
		return w.file.Sync()
	}
	return nil
}

func (w *Writer) put(text []byte) error {
	if w.inMemory() {
		w.held = append(w.held, text...)
		return nil
	}
	if w.file == nil {
		return errors.New("no file is open")
	}
	for {
		n, err := w.file.Write(text)
		if err == nil {
			return nil
		}
		if n > 0 { // half a line must not stay
			err = errors.Join(err, w.cut())
		}
		if !full(err) || !w.dropOldest("the disk is full") {
			return err
		}
	}
}

// cut takes back what was written last in part.
func (w *Writer) cut() error {
	if err := w.file.Truncate(w.open.Size); err != nil {
		return err
	}
	_, err := w.file.Seek(w.open.Size, 0)
	return err
}

func full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// shut closes the open file, and begins to compress it.
func (w *Writer) shut() error {
	err := w.packed()
	f := w.open
	w.open = File{}
	switch {
	case f.First == 0:
		return err
	case w.inMemory():
		held := w.held
		w.held = nil
		if f.Last == 0 {
			return err
		}
		return errors.Join(err, w.store(&f, held))
	case w.file == nil:
		return err
	}
	err = errors.Join(err, w.file.Sync(), w.file.Close())
	w.file = nil
	done := make(chan error, 1)
	w.packing = done
	go func() { done <- pack(w.root, &f) }()
	return err
}

// packed waits until what is being compressed is.
func (w *Writer) packed() error {
	if w.packing == nil {
		return nil
	}
	err := <-w.packing
	w.packing = nil
	if full(err) {
		w.config.Log.Warn("the disk is too full to compress a file of the history", "error", err)
		return nil // it stays as it is, and is compressed at the next start
	}
	return err
}

// store writes a closed file in one go.
func (w *Writer) store(f *File, text []byte) error {
	to, err := w.create(f.Name, nil)
	if err != nil {
		return err
	}
	_, err = to.Write(text)
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(err, w.root.Remove(f.Name))
	}
	return pack(w.root, f)
}

// Close closes the open file, compresses it and lets go of the folder.
func (w *Writer) Close() error {
	return errors.Join(w.shut(), w.packed(), w.root.Close(), w.lock.Close())
}
