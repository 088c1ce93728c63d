package bpf_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"mptcpctl/internal/bpf"
	"mptcpctl/internal/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

// The running kernel describes itself; anybody may read it.
func TestKernelLayouts(t *testing.T) {
	questions := []bpf.Layout{
		{Kind: bpf.KindFunction, Name: "bpf_iter_task_file"},
		{Kind: bpf.KindStruct, Name: "file", Members: []string{"f_inode", "f_mode"}},
		{Kind: bpf.KindStruct, Name: "list_head", Members: []string{"next", "prev"}},
		{Kind: bpf.KindStruct, Name: "no such structure"},
	}
	err := bpf.KernelLayouts(questions)
	if errors.Is(err, fs.ErrNotExist) {
		labtest.Skip(t, "the kernel was built without BTF")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions[:3] {
		if q.ID == 0 {
			t.Errorf("%s is not found", q.Name)
		}
	}
	if list := questions[2].Offsets; list[0] != 0 || list[1] == 0 {
		t.Errorf("list_head: %v", list)
	}
	if questions[3].ID != 0 {
		t.Error("what does not exist is found")
	}
}

// The mapped description and the one that is read are the same.
func TestKernelLayoutsByReading(t *testing.T) {
	btf, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if errors.Is(err, fs.ErrNotExist) {
		labtest.Skip(t, "the kernel was built without BTF")
	}
	if err != nil {
		t.Fatal(err)
	}
	read := []bpf.Layout{{Kind: bpf.KindStruct, Name: "task_struct", Members: []string{"pid", "tgid", "comm"}}}
	mapped := []bpf.Layout{{Kind: bpf.KindStruct, Name: "task_struct", Members: []string{"pid", "tgid", "comm"}}}
	if err := errors.Join(bpf.Layouts(btf, read), bpf.KernelLayouts(mapped)); err != nil {
		t.Fatal(err)
	}
	if read[0].ID == 0 || read[0].ID != mapped[0].ID || read[0].Offsets[1] != mapped[0].Offsets[1] ||
		read[0].Offsets[1] != read[0].Offsets[0]+4 {
		t.Errorf("read %+v, mapped %+v", read[0], mapped[0])
	}
}

func BenchmarkKernelLayouts(b *testing.B) {
	for b.Loop() {
		if err := bpf.KernelLayouts([]bpf.Layout{{Kind: bpf.KindFunction, Name: "bpf_iter_task_file"}}); err != nil {
			b.Skip(err)
		}
	}
}
