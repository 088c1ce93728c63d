package history

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	suffix     = ".jsonl"
	compressed = ".jsonl.zst"
	nameTime   = "20060102T150405Z"
	numberForm = "%016d"
)

// File is a file of a history.
type File struct {
	Name   string
	Begin  time.Time // when it was begun
	End    time.Time // when it was written last
	First  uint64    // number of its first line
	Last   uint64    // number of its last line, 0 while it is open, or where it was not closed
	Size   int64     // bytes on the disk
	Packed bool      // compressed
}

func openName(begin time.Time, first uint64) string {
	return begin.UTC().Format(nameTime) + "-" + fmt.Sprintf(numberForm, first) + suffix
}

func closedName(f *File) string {
	return f.Begin.UTC().Format(nameTime) + "-" + fmt.Sprintf(numberForm, f.First) + "-" +
		fmt.Sprintf(numberForm, f.Last) + compressed
}

// parseName reads the name of a file; ok is false where it is none of a history.
func parseName(name string) (f File, ok bool) {
	f.Name = name
	text, packed := strings.CutSuffix(name, compressed)
	if !packed {
		if text, ok = strings.CutSuffix(name, suffix); !ok {
			return f, false
		}
	}
	parts := strings.Split(text, "-")
	want := 2
	if packed {
		want = 3
	}
	if len(parts) != want {
		return f, false
	}
	var errs [3]error
	f.Packed = packed
	f.Begin, errs[0] = time.Parse(nameTime, parts[0])
	f.First, errs[1] = strconv.ParseUint(parts[1], 10, 64)
	if packed {
		f.Last, errs[2] = strconv.ParseUint(parts[2], 10, 64)
	}
	return f, errs == [3]error{} && f.First > 0
}

// files returns the files of a folder in the order of their lines.
func files(root *os.Root) ([]File, error) {
	folder, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	entries, err := folder.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var list []File
	for _, entry := range entries {
		f, ok := parseName(entry.Name())
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // it was removed meanwhile
		}
		f.Size, f.End = info.Size(), info.ModTime()
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b File) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last), cmp.Compare(a.Name, b.Name))
	})
	return list, nil
}
