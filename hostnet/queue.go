package hostnet

// Queue is the queueing discipline at the root of a device, with what it counted since it was
// made (RTM_GETQDISC, TCA_STATS2). Reading it needs no privilege.
type Queue struct {
	Index      int    `json:"ifindex"`
	Kind       string `json:"kind"`    // "fq_codel", "tbf", "noqueue", …
	Bytes      uint64 `json:"bytes"`   // sent
	Packets    uint32 `json:"packets"` // sent
	Length     uint32 `json:"length"`  // packets that wait
	Backlog    uint32 `json:"backlog"` // bytes that wait
	Drops      uint32 `json:"drops"`   // packets that found no room, or were dropped to keep the queue short
	Overlimits uint32 `json:"overlimits"`
}
