package slow

import "mptcpctl/doctor/rule"

// The rules of the family. The gaps are causes that a look at sockets alone cannot decide.
const (
	ProcessSendsNoFaster rule.ID = "S01"
	PeerReadsSlowly      rule.ID = "S02"
	ReceiveBufferSmall   rule.ID = "S03"
	SendBufferSmall      rule.ID = "S04"
	SendBufferFixed      rule.ID = "S05"
	SecondIsBackup       rule.ID = "S06"
	FirstPathSuffices    rule.ID = "S07"
	HeadOfLine           rule.ID = "S08"
	PathLoses            rule.ID = "S09"
	QueueTooLong         rule.ID = "S10"
	PathFull             rule.ID = "S11"
	OneLinkForTwo        rule.ID = "S12"
	OwnQueueDrops        rule.ID = "S13"
	LargePacketsVanish   rule.ID = "S17"
	PathTimesOut         rule.ID = "S18"
)

// Rules returns the catalogue of the family, in the order of the ids.
func Rules() []rule.Rule {
	entry := func(id rule.ID, title, meaning, signs, remedy string) rule.Rule {
		return rule.Rule{
			ID: id, Family: rule.FamilyRate, Title: title, Meaning: meaning, Signs: signs, Remedy: remedy,
			Needs: rule.NeedsLooks, Decided: true,
		}
	}
	return []rule.Rule{
		entry(ProcessSendsNoFaster, "The process sends no faster",
			"Nothing waits to be sent: the process writes less than the paths could carry, or waits for answers. "+
				"A busy processor looks the same from outside.",
			"In most looks less than two bursts of 64 KiB are not acknowledged, and the send buffer is nearly empty.",
			"Nothing in the network helps. Larger writes or more requests at the same time do."),
		entry(PeerReadsSlowly, "The receiving process reads slowly",
			"The receive buffer fills because its process does not read. No buffer and no path helps.",
			"On the sender data waits for the window, which opens and closes; on the receiver the buffer is full.",
			"Look at the process that reads: its disk, processor or locks."),
		entry(ReceiveBufferSmall, "The receive buffer is too small",
			"All subflows share one receive buffer. It must hold what all paths carry within the longest round trip.",
			"Data waits that no subflow may take, because the window at the peer is in use, and the window is steady.",
			"On the receiving host, raise the last value of net.ipv4.tcp_rmem, and let the program set no SO_RCVBUF."),
		entry(SendBufferSmall, "The send buffer is too small",
			"The process waits for the send buffer while all paths idle.",
			"Every subflow's queue is often empty, the connection's buffer is full, and the buffers have reached "+
				"the last value of net.ipv4.tcp_wmem.",
			"Raise the last value of net.ipv4.tcp_wmem."),
		entry(SendBufferFixed, "The program fixed the send buffer",
			"A program that sets SO_SNDBUF gets no larger buffer, however fast the paths are.",
			"As S04, and the buffers of the connection and of all subflows are equal: the kernel's own sizes are "+
				"not, since Linux 6.7.",
			"Remove SO_SNDBUF from the program, or set a larger value."),
		entry(SecondIsBackup, "A backup path idles while the others are full",
			"The scheduler gives nothing to a backup while another path works, however full that is.",
			"The subflow is a backup and carries nothing; another one always has data waiting.",
			"Remove the flag backup from the endpoint, if the second path may carry data."),
		entry(FirstPathSuffices, "The first path carries all that the process sends",
			"Nothing is wrong. The scheduler prefers the path that drains first; at this load it needs no second one.",
			"As S01, and one subflow carries nine tenths.",
			"Nothing to do."),
		entry(HeadOfLine, "The slow path holds up the fast one",
			"Data is read in order. What travels on the fast path waits in a buffer for what was sent before on the "+
				"slow one, and when that buffer is full the fast path idles.",
			"The round trips differ four times or more, the fast subflow idles, and the process waits to write.",
			"Raise the buffers at both ends; if that is not enough, make the slow path a backup."),
		entry(PathLoses, "Packets are lost on a path",
			"Congestion control takes loss for a full path and slows down.",
			"One percent or more is sent again, spread over the time, while the path has no queue.",
			"Look at the link: radio, cable, or a policer, below whose rate you can shape."),
		entry(QueueTooLong, "A path has a long queue",
			"The path is full, and packets wait long in a buffer on it. The rate is as it should be, the delay is not.",
			"The round trip is three times the smallest one or more, and over 100 ms longer, in most looks.",
			"Use fq_codel or cake at the bottleneck."),
		entry(PathFull, "The path is full",
			"Nothing is wrong: this is how a large transfer looks on a path that it uses up.",
			"The queue of the subflow always has data, and neither loss nor a long queue shows.",
			"Nothing to do."),
		entry(OneLinkForTwo, "Two subflows share one link",
			"Two subflows that leave by the same device share its rate.",
			"Both are full and leave by the same device.",
			"Correct the routes, so that each address leaves by its own device; `mptcpctl paths` shows them."),
		entry(OwnQueueDrops, "The queue of a device of this host drops packets",
			"What is lost, is lost before it leaves this host: the queue is too short for its shaper.",
			"The queueing discipline of the device counts drops, and the subflows on it send again.",
			"Use a longer queue, or fq_codel below the shaper."),
		entry(LargePacketsVanish, "Large packets vanish on a path",
			"The join has small packets, data has large ones. A path with a smaller MTU that sends no ICMP drops "+
				"them.",
			"The subflow has sent data, and no byte of it was ever acknowledged.",
			"Lower the MTU of the route, or set net.ipv4.tcp_mtu_probing=1."),
		entry(PathTimesOut, "A path does not answer",
			"Until the kernel takes the subflow for stale, what was sent on it holds up the rest.",
			"Timeouts follow each other, nothing is acknowledged, and data is in flight.",
			"Look at the path. net.mptcp.stale_loss_cnt=2 makes the kernel give up sooner."),
	}
}
