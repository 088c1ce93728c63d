package bpf

// Helpers that a program may call (enum bpf_func_id), which golang.org/x/sys lacks.
const (
	SkbLoadBytes    = 26
	ProbeReadKernel = 113
	Jiffies         = 118 // bpf_jiffies64
	SeqWrite        = 127
	RingbufReserve  = 131
	RingbufSubmit   = 132
	RingbufDiscard  = 133
	ToTCPSocket     = 137 // bpf_skc_to_tcp_sock
)
