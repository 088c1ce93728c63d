package hostnet

import (
	"context"

	"github.com/vishvananda/netlink"
)

// Queues returns the queueing discipline at the root of each device that has one.
func (r *Reader) Queues(ctx context.Context) ([]Queue, error) {
	all, err := dump(ctx, r, "queue dump", func(h *netlink.Handle) ([]netlink.Qdisc, error) {
		return h.QdiscList(nil)
	})
	if err != nil {
		return nil, err
	}
	queues := make([]Queue, 0, len(all))
	for _, q := range all {
		if q.Attrs().Parent == netlink.HANDLE_ROOT {
			queues = append(queues, queueOf(q))
		}
	}
	return queues, nil
}

func queueOf(q netlink.Qdisc) Queue {
	queue := Queue{Index: q.Attrs().LinkIndex, Kind: q.Type()}
	s := q.Attrs().Statistics
	if s == nil {
		return queue
	}
	if s.Basic != nil {
		queue.Bytes, queue.Packets = s.Basic.Bytes, s.Basic.Packets
	}
	if s.Queue != nil {
		queue.Length, queue.Backlog = s.Queue.Qlen, s.Queue.Backlog
		queue.Drops, queue.Overlimits = s.Queue.Drops, s.Queue.Overlimits
	}
	return queue
}
