package owners

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
)

// entry writes a directory entry as the kernel does.
func entry(name string) []byte {
	length := (direntName + len(name) + 1 + 7) &^ 7
	b := make([]byte, length)
	binary.NativeEndian.PutUint16(b[direntLength:], uint16(length))
	copy(b[direntName:], name)
	return b
}

func FuzzNextEntry(f *testing.F) {
	f.Add(append(append(entry("."), entry("4711")...), entry("a name with blanks")...))
	f.Add(entry("3")[:22])
	f.Fuzz(func(t *testing.T, entries []byte) {
		var names []string
		var again []byte
		for rest := entries; ; {
			name, next, ok := nextEntry(rest)
			if !ok {
				break
			}
			if len(next) >= len(rest) || len(name) == 0 || bytes.IndexByte(name, 0) >= 0 {
				t.Fatalf("name %q, %d bytes left of %d", name, len(next), len(rest))
			}
			if after := name[:len(name)+1]; after[len(name)] != 0 {
				t.Fatalf("no zero byte after %q", name)
			}
			names, again, rest = append(names, string(name)), append(again, entry(string(name))...), next
		}
		for _, want := range names {
			name, next, ok := nextEntry(again)
			if !ok || string(name) != want {
				t.Fatalf("written and read again: %q, %v, want %q", name, ok, want)
			}
			again = next
		}
	})
}

func FuzzParseSocketLink(f *testing.F) {
	f.Add([]byte("socket:[4711]"))
	f.Add([]byte("socket:[4294967296]"))
	f.Add([]byte("pipe:[1]"))
	f.Add([]byte("socket:[]"))
	f.Fuzz(func(t *testing.T, link []byte) {
		inode, ok := parseSocketLink(link)
		var want uint32
		n, err := fmt.Sscanf(string(link), "socket:[%d]", &want)
		switch {
		case ok && (err != nil || n != 1 || want != inode):
			t.Fatalf("%q is %d, fmt says %d, %v", link, inode, want, err)
		case !ok && err == nil && string(link) == fmt.Sprintf("socket:[%d]", want):
			t.Fatalf("%q refused", link)
		}
	})
}

func TestContainerHint(t *testing.T) {
	id := "3f2a1b0c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f8"
	for cgroup, want := range map[string]string{
		"0::/system.slice/docker-" + id + ".scope\n":                             "docker 3f2a1b0c4d5e",
		"12:cpu:/docker/" + id + "\n0::/\n":                                      "docker 3f2a1b0c4d5e",
		"0::/machine.slice/libpod-" + id + ".scope/container\n":                  "podman 3f2a1b0c4d5e",
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" + id + ".scope": "containerd 3f2a1b0c4d5e",
		"0::/kubepods.slice/crio-" + id + ".scope\n":                             "cri-o 3f2a1b0c4d5e",
		"0::/lxc.payload.web/init.scope\n":                                       "lxc web",
		"0::/machine.slice/machine-build.scope\n":                                "machine build",
		"0::/user.slice/user-1000.slice/session-2.scope\n":                       "",
		"0::/\n": "",
		"":       "",
		"broken": "",
	} {
		if got := containerHint(cgroup); got != want {
			t.Errorf("%q: got %q, want %q", cgroup, got, want)
		}
	}
}
