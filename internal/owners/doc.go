// Package owners finds the processes that own sockets, and says what a process calls
// itself and which container it runs in.
//
// The kernel's dumps give the inode of a socket, not its process. [Sockets.Find] and
// [WalkProcesses] look for the inode among the open files of all processes: by a BPF
// iterator inside the kernel where there are many sockets and the privileges for it,
// by reading /proc/PID/fd elsewhere. The files of another user's processes are
// readable only with the rights of ptrace(2) over them.
package owners
