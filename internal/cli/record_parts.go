package cli

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/private"
	"mptcpctl/internal/source/live"

	"golang.org/x/sys/unix"
)

// mostFloor is how much a recording leaves of its file system, where that is no more than
// a twentieth of it.
const mostFloor = 64 << 20

// partName returns the name of the part with the number: that of the file, from the second
// one on with the number in front of the extension.
func partName(file string, n int) string {
	if n == 0 {
		return file
	}
	dir, base := filepath.Split(file)
	name, extension, dotted := strings.Cut(base, ".")
	if dotted {
		extension = "." + extension
	}
	return dir + name + "-" + strconv.Itoa(n) + extension
}

// recordPart is one file of a recording, while it is written.
type recordPart struct {
	stop  context.CancelFunc
	begun chan struct{} // closed with its first dump
	full  chan struct{} // closed when it is as large as it may be
	ended chan struct{} // closed at its end
	total live.Progress
	err   error
}

// recordParts records into one file after the other. The next one begins before the one
// before ends: what happens meanwhile is in both.
func (a *app) recordParts(
	ctx context.Context, inv *grammar.Invocation, r *recordRequest, c *live.RecordConfig,
) (total live.Progress, err error) {
	part, err := a.startPart(ctx, inv, r, c, 0)
	if err != nil {
		return total, err
	}
	for n := 1; ; n++ {
		select {
		case <-part.full:
		case <-part.ended:
			return total.Plus(part.total), part.err
		}
		next, err := a.startPart(ctx, inv, r, c, n)
		if err != nil {
			part.stop()
			<-part.ended
			return total.Plus(part.total), errors.Join(part.err, err)
		}
		select {
		case <-next.begun:
		case <-next.ended:
		}
		part.stop()
		<-part.ended
		total = total.Plus(part.total)
		if part.err != nil {
			next.stop()
			<-next.ended
			return total.Plus(next.total), part.err
		}
		if r.keep > 0 && n >= r.keep {
			if err := os.Remove(partName(r.file, n-r.keep)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				next.stop()
				<-next.ended
				return total.Plus(next.total), err
			}
		}
		part = next
	}
}

// startPart begins to record into the part with the number.
func (a *app) startPart(
	ctx context.Context, inv *grammar.Invocation, r *recordRequest, c *live.RecordConfig, n int,
) (*recordPart, error) {
	p := &recordPart{begun: make(chan struct{}), full: make(chan struct{}), ended: make(chan struct{})}
	out, done, err := createRecording(inv, partName(r.file, n), r.size, sync.OnceFunc(func() { close(p.full) }))
	if err != nil {
		return nil, err
	}
	ctx, p.stop = context.WithCancel(ctx)
	config := *c
	begun := sync.OnceFunc(func() { close(p.begun) })
	config.Progress = func(progress live.Progress) {
		if progress.Snapshots > 0 {
			begun()
		}
		if c.Progress != nil {
			c.Progress(progress)
		}
	}
	go func() {
		defer close(p.ended)
		defer p.stop()
		p.total, p.err = live.Record(ctx, out, &config)
		if errors.Is(p.err, fs.ErrPermission) && p.total.Bytes == 0 {
			if n == 0 {
				a.warn("only dumps are recorded, no events: events need CAP_NET_ADMIN in the network namespace")
			}
			config.Events = nil
			p.total, p.err = live.Record(ctx, out, &config)
		}
		if err := done(); p.err == nil {
			p.err = err // else it fails for the same reason
		}
	}()
	return p, nil
}

// createRecording creates the file. It is the owner's to read: it names users,
// processes and peers. When it has size bytes, 0 for any number, full is called.
func createRecording(
	inv *grammar.Invocation, name string, size int64, full func(),
) (w io.Writer, done func() error, err error) {
	if name == "-" {
		return recordingOnStdout(inv)
	}
	f, err := private.Create(name, inv.Has("force"))
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, existsAlready(name)
	}
	if err != nil {
		return nil, nil, err
	}
	bounded := &boundedFile{File: f, size: size, full: full}
	if !strings.HasSuffix(name, ".gz") {
		return &roomyWriter{to: bounded, file: f}, f.Close, nil
	}
	zip := gzip.NewWriter(bounded)
	return &roomyWriter{to: flushed{zip}, file: f}, func() error { return errors.Join(zip.Close(), f.Close()) }, nil
}

// boundedFile says when it is as large as it may be.
type boundedFile struct {
	*os.File
	written, size int64
	full          func()
}

func (f *boundedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.written += int64(n); f.size > 0 && f.written >= f.size {
		f.full()
	}
	return n, err
}

// roomyWriter writes to a file as long as that leaves room on the file system for others.
type roomyWriter struct {
	to    io.Writer
	file  *os.File
	asked time.Time
}

// roomPause is how often the file system is asked.
const roomPause = time.Second

func (w *roomyWriter) Write(b []byte) (int, error) {
	if now := time.Now(); now.Sub(w.asked) >= roomPause {
		w.asked = now
		if err := hasRoom(w.file); err != nil {
			return 0, err
		}
	}
	return w.to.Write(b)
}

// hasRoom returns an error where little is left of the file's file system. What has no
// size, such as a pipe, has room.
func hasRoom(f *os.File) error {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil || s.Blocks == 0 {
		return nil
	}
	left, all := int64(s.Bavail)*int64(s.Bsize), int64(s.Blocks)*int64(s.Bsize)
	if floor := min(mostFloor, all/20); left < floor {
		return fmt.Errorf(
			"%s: ended, because only %d MB are left on its file system", present.Escape(f.Name()), left/1e6,
		)
	}
	return nil
}
