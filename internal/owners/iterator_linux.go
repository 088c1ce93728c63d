package owners

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strconv"

	"mptcpctl/internal/bpf"
	"mptcpctl/mptcp"

	"golang.org/x/sys/unix"
)

// manySockets is from where on the iterator pays: it costs about 4 ms to set up, and
// 0.5 us for a descriptor, where the walk takes 3.5 us.
const manySockets = 1000

// Find finds the processes that hold the sockets of the set. With many sockets, and
// where the kernel and the privileges allow it (CAP_BPF and CAP_PERFMON), a BPF
// program goes over the open files inside the kernel. Else it is one walk over
// /proc, which passes over the processes of other users in silence unless the
// caller may trace them (root, CAP_SYS_PTRACE). What was found before is forgotten.
func (s *Sockets) Find(ctx context.Context) error {
	if s.used >= manySockets {
		if err := s.iterate(ctx); err == nil {
			return nil
		}
		// Whatever it lacked, the walk does not need.
	}
	return s.walk(ctx)
}

// walk finds the processes by a walk over /proc.
func (s *Sockets) walk(ctx context.Context) error {
	s.forget()
	w := walker{}
	w.found = func(inode uint32, pid int) { s.hold(pid, inode, w.name) }
	return w.walk(ctx, "/proc")
}

// initialPIDNamespace is the inode of the first namespace of process ids
// (PROC_PID_INIT_INO).
const initialPIDNamespace = 0xeffffffc

// errOtherNamespace says that the process is in a container of a kind.
var errOtherNamespace = errors.New("the process is not in the initial namespaces")

// atHome checks that /proc shows the process ids that the kernel itself has.
func atHome() error {
	var stat unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &stat); err != nil {
		return err
	}
	if stat.Ino != initialPIDNamespace {
		return errOtherNamespace
	}
	self, err := os.Readlink("/proc/self")
	if err != nil {
		return err
	}
	if self != strconv.Itoa(os.Getpid()) {
		return errOtherNamespace
	}
	return nil
}

// iterate finds the processes by a BPF iterator over the files of all tasks.
func (s *Sockets) iterate(ctx context.Context) error {
	iterator, err := openSocketIterator()
	if err != nil {
		return err
	}
	defer iterator.Close()
	proc, err := openDirectory(unix.AT_FDCWD, "/proc")
	if err != nil {
		return err
	}
	defer unix.Close(proc)
	s.forget()
	w := walker{proc: proc}
	buffer := make([]byte, 32<<10) // the kernel gives no more at once
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := unix.Read(int(iterator.Fd()), buffer)
		switch {
		case err == unix.EINTR, err == unix.EAGAIN:
			continue
		case err != nil:
			return err
		case n == 0:
			return nil
		case n%holdingSize != 0:
			return io.ErrUnexpectedEOF
		}
		for records := buffer[:n]; len(records) > 0; records = records[holdingSize:] {
			pid, inode := decodeHolding(records)
			s.hold(pid, inode, w.name)
		}
	}
}

// holdingSize is the size of what the program writes for a socket: the process id
// and the inode.
const holdingSize = 8

func decodeHolding(record []byte) (pid int, inode uint32) {
	return int(int32(binary.NativeEndian.Uint32(record))), binary.NativeEndian.Uint32(record[4:])
}

// sockfsMagic marks the file system of sockets (SOCKFS_MAGIC): a socket's name in
// another one, opened by its path, is none.
const sockfsMagic = 0x534f434b

// openSocketIterator loads the program and returns what runs it when it is read.
func openSocketIterator() (*os.File, error) {
	// Cheap questions first: most have no privilege.
	if err := errors.Join(bpf.MayLoad(), atHome()); err != nil {
		return nil, err
	}
	if strconv.IntSize < 64 {
		return nil, mptcp.ErrNotSupported // the kernel may have other sizes than the program knows
	}
	layouts := []bpf.Layout{
		{Kind: bpf.KindFunction, Name: "bpf_iter_task_file"},
		{Kind: bpf.KindStruct, Name: "task_struct", Members: []string{"pid", "tgid"}},
		{Kind: bpf.KindStruct, Name: "file", Members: []string{"f_inode"}},
		{Kind: bpf.KindStruct, Name: "inode", Members: []string{"i_sb", "i_ino"}},
		{Kind: bpf.KindStruct, Name: "super_block", Members: []string{"s_magic"}},
	}
	if err := bpf.KernelLayouts(layouts); err != nil {
		return nil, err
	}
	if !bpf.Complete(layouts) {
		return nil, mptcp.ErrNotSupported
	}
	program, err := bpf.Load(unix.BPF_PROG_TYPE_TRACING, socketIterator(layouts), unix.BPF_TRACE_ITER, layouts[0].ID)
	if err != nil {
		return nil, err
	}
	defer unix.Close(program)
	return bpf.Iterate(program)
}

// socketIterator returns the program, which the kernel runs for each open file of
// each task. Its context is struct bpf_iter__task_file: meta, task, number, file.
// It writes the process id and the inode of sockets held by processes; threads that
// have files of their own are left out, as /proc/PID/fd leaves them out.
//
// Its registers: 6 the seq_file, 7 the task, 8 the inode, 9 process id.
func socketIterator(layouts []bpf.Layout) []byte {
	const meta, task, file, record = 0, 8, 24, -holdingSize
	taskStruct, fileStruct, inodeStruct, superBlock := &layouts[1], &layouts[2], &layouts[3], &layouts[4]
	p := &bpf.Program{}
	p.Op(bpf.Read8, 7, 1, task, 0)
	p.Jump(bpf.IfEqual, 7, 0, "next")
	p.Op(bpf.Read8, 8, 1, file, 0)
	p.Jump(bpf.IfEqual, 8, 0, "next")
	p.Op(bpf.Read8, 6, 1, meta, 0)
	p.Op(bpf.Read8, 6, 6, 0, 0) // bpf_iter_meta.seq
	p.Op(bpf.Read8, 8, 8, int16(fileStruct.Offset("f_inode")), 0)
	p.Jump(bpf.IfEqual, 8, 0, "next")
	p.Op(bpf.Read8, 2, 8, int16(inodeStruct.Offset("i_sb")), 0)
	p.Jump(bpf.IfEqual, 2, 0, "next")
	p.Op(bpf.Read8, 2, 2, int16(superBlock.Offset("s_magic")), 0)
	p.Jump(bpf.IfNot, 2, sockfsMagic, "next")
	p.Op(bpf.Read4, 9, 7, int16(taskStruct.Offset("tgid")), 0)
	p.Op(bpf.Read4, 2, 7, int16(taskStruct.Offset("pid")), 0)
	p.JumpSame(bpf.IfNotSame, 2, 9, "next")
	p.Op(bpf.Write4, 10, 9, record, 0)
	p.Op(bpf.Read8, 2, 8, int16(inodeStruct.Offset("i_ino")), 0)
	p.Op(bpf.Write4, 10, 2, record+4, 0)
	p.Op(bpf.Copy, 1, 6, 0, 0)
	p.Op(bpf.Copy, 2, 10, 0, 0)
	p.Op(bpf.Add, 2, 0, 0, record)
	p.Op(bpf.Set, 3, 0, 0, holdingSize)
	p.Op(bpf.Call, 0, 0, 0, bpf.SeqWrite) // without room the kernel runs it for the file again
	p.Label("next")
	p.Op(bpf.Set, 0, 0, 0, 0)
	p.Op(bpf.Exit, 0, 0, 0, 0)
	return p.Bytes()
}
