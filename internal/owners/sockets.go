package owners

import (
	"slices"

	"mptcpctl/mptcp"
)

// Sockets is a set of sockets, by their inodes, with the processes that hold them as
// far as they were found by [Sockets.Find]. It takes 8 to 22 bytes for a socket.
type Sockets struct {
	inodes  []uint32 // open addressing, a power of two of them; 0 is free
	holders []uint32 // of the inode in the same place: process plus one, or group with sharedHolders
	used    int

	processes []mptcp.Process // each once
	groups    [][]uint32      // numbers of processes
}

// sharedHolders marks a number of a group.
const sharedHolders = 1 << 31

// NewSockets returns an empty set with room for about n.
func NewSockets(n int) *Sockets {
	size := 64
	for size < n+n/2 {
		size *= 2
	}
	return &Sockets{inodes: make([]uint32, size), holders: make([]uint32, size)}
}

// Add adds the socket with the inode; 0 is none.
func (s *Sockets) Add(inode uint32) {
	if inode == 0 {
		return
	}
	if s.used >= len(s.inodes)/4*3 {
		s.grow()
	}
	if at := s.place(inode); s.inodes[at] == 0 {
		s.inodes[at] = inode
		s.used++
	}
}

func (s *Sockets) grow() {
	larger := NewSockets(2 * len(s.inodes))
	for i, inode := range s.inodes {
		if inode != 0 {
			at := larger.place(inode)
			larger.inodes[at], larger.holders[at] = inode, s.holders[i]
		}
	}
	s.inodes, s.holders = larger.inodes, larger.holders
}

// place returns where the inode is, or belongs. Inodes are given out one after the
// other: those that differ in the low bits go to different places.
func (s *Sockets) place(inode uint32) uint32 {
	mask := uint32(len(s.inodes) - 1)
	for i := inode & mask; ; i = (i + 1) & mask {
		if s.inodes[i] == inode || s.inodes[i] == 0 {
			return i
		}
	}
}

// Len returns the number of sockets in the set.
func (s *Sockets) Len() int { return s.used }

// Has reports whether the socket is in the set.
func (s *Sockets) Has(inode uint32) bool { return inode != 0 && s.inodes[s.place(inode)] == inode }

// Holders returns the processes that hold the socket, in the order of process ids.
// The slice must not be changed.
func (s *Sockets) Holders(inode uint32) []mptcp.Process {
	if s == nil || !s.Has(inode) {
		return nil
	}
	switch h := s.holders[s.place(inode)]; {
	case h == 0:
		return nil
	case h&sharedHolders == 0:
		return s.processes[h-1 : h : h]
	default:
		var list []mptcp.Process
		for _, number := range s.groups[h&^sharedHolders] {
			list = append(list, s.processes[number])
		}
		slices.SortFunc(list, func(a, b mptcp.Process) int { return a.PID - b.PID })
		return list
	}
}

// Hold notes that a process holds the socket, as a recording tells it: Find does so
// for those of this host.
func (s *Sockets) Hold(inode uint32, p mptcp.Process) {
	s.hold(p.PID, inode, func(int) string { return p.Name })
}

// hold notes that the process holds the socket, if that is in the set. Name tells
// what the process calls itself. Sockets of one process come one after the other.
func (s *Sockets) hold(pid int, inode uint32, name func(pid int) string) {
	at := s.place(inode)
	if inode == 0 || s.inodes[at] != inode {
		return
	}
	if n := len(s.processes); n == 0 || s.processes[n-1].PID != pid {
		s.processes = append(s.processes, mptcp.Process{PID: pid, Name: name(pid)})
	}
	number := uint32(len(s.processes) - 1)
	switch h := s.holders[at]; {
	case h == 0:
		s.holders[at] = number + 1
	case h == number+1:
	case h&sharedHolders == 0:
		s.holders[at] = sharedHolders | uint32(len(s.groups))
		s.groups = append(s.groups, []uint32{h - 1, number})
	default:
		if group := &s.groups[h&^sharedHolders]; !slices.Contains(*group, number) {
			*group = append(*group, number)
		}
	}
}

// forget lets go of what was found.
func (s *Sockets) forget() {
	clear(s.holders)
	s.processes, s.groups = nil, nil
}
