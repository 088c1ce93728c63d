// Package force runs any program with MPTCP where it asks for TCP: by seccomp user
// notification, so that static and Go programs are served like others, and without
// privileges.
//
// # How it works
//
// The process that is to become the program starts a supervisor, puts a seccomp
// filter on itself and executes the program. The filter, which all descendants
// inherit, stops socket(AF_INET or AF_INET6, SOCK_STREAM, 0 or IPPROTO_TCP) and
// nothing else. The supervisor makes an MPTCP socket in its place, and the kernel
// puts it into the program and returns its number (SECCOMP_ADDFD). Nothing stands between the program and its data: the
// cost is one detour for each TCP socket() call. Where no MPTCP socket can be had,
// the supervisor lets the program's own call go on, and the program gets TCP.
//
// # Processes
//
// Because the calling process itself becomes the program, everything that a wrapper
// has to imitate is kept by construction: process id, exit status and signals,
// terminal and job control, open files, working directory, parent. The supervisor
// is a process of its own in a session of its own, child of nobody in the
// program's family. It outlives the program as long as any descendant lives (their
// socket() would fail with ENOSYS without it), takes no notice of the signals that
// end them, and ends when the kernel says that the last one is gone.
//
// Only the verbose form ([Config.Verbose]) keeps a process in front of the program,
// since somebody must tell at the end what became of its sockets: it passes signals
// on, stops when the program is stopped, and returns its exit status.
//
// Both helpers are this very program started again under a name that [IsStub]
// knows: main must begin with
//
//	if force.IsStub(os.Args) {
//		os.Exit(force.Stub())
//	}
package force

// Limits lists, for users, what the package cannot cover.
const Limits = `What run cannot cover:
  - sockets that the program inherits or is given: they stay what they are;
  - socketcall(2) of old 32-bit programs, and x32 programs: they get TCP;
  - sockets opened through io_uring: they get TCP;
  - for ordinary users: set-user-ID programs run without their privileges
    (no_new_privs), so sudo or ping may fail under run; this does not concern root;
  - a program that enters another network namespace gets TCP there, unless run
    was started with CAP_SYS_ADMIN over that namespace;
  - sockets count towards the control group, and carry the security label, in
    which run was started, even if the program moves to another;
  - options that only TCP sockets support (kernel TLS, TCP-MD5 and others) fail on
    MPTCP sockets;
  - signals other than HUP and INT that the caller ignored are no longer ignored
    when the program starts;
  - if the supervisor is killed, socket() fails with ENOSYS in the programs it
    served.
`
