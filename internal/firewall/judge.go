package firewall

import (
	"slices"

	"mptcpctl/internal/uapi"
)

// Verdicts of nf_tables, as signed numbers (enum nft_verdicts, NF_*).
const (
	nfDrop     = 0
	nfAccept   = 1
	nftBreak   = -2
	nftJump    = -3
	nftGoto    = -4
	nftReturn  = -5
	undecided  = -1 // NFT_CONTINUE
	deepest    = 16 // chains that jump to each other (NFT_JUMP_STACK_SIZE)
	mostHits   = 8  // that are told
	mostJudged = 1 << 16
)

// Judge tells what the firewall does to a packet of this host, as far as its rules
// can be told without the state that the kernel has: of rules that may or may not
// fit, only those that look at MPTCP, or that open because of a limit alone, are told.
// It does what the kernel would do with the rules, chain by chain, and changes nothing.
func (f *Firewall) Judge(p *Packet) []Hit { return f.Follow(p) }

// Follow is Judge for packets of one flow in their order, up to the first that surely does
// not pass: connection tracking knows the flow from the packets before. The first packet
// makes it known if it is a SYN; if not, the flow is taken to be known already.
func (f *Firewall) Follow(packets ...*Packet) []Hit {
	hits, _ := f.follow(packets)
	return hits
}

// follow also tells whether all that happens to the packets is sure.
func (f *Firewall) follow(packets []*Packet) (hits []Hit, sure bool) {
	if f == nil {
		return nil, false
	}
	sure = true
	var flow *track
	for i, p := range packets {
		if !p.Source.Addr().IsValid() && !p.Destination.Addr().IsValid() {
			return hits, false
		}
		j := judgement{firewall: f, packet: newHeader(p), number: i, rest: mostJudged}
		if flow == nil {
			known := newTrack(j.packet)
			flow = &known
		}
		j.packet.track = *flow
		j.packet.track.begins(p.Incoming == packets[0].Incoming)
		stopped := j.passes()
		hits = append(hits, j.hits...)
		sure = sure && !j.open
		*flow = j.packet.track
		if stopped {
			break
		}
	}
	return hits, sure
}

// passes walks the packet through its hooks, and reports whether one of them surely
// stops it.
func (j *judgement) passes() (stopped bool) {
	path := []Hook{HookOutput, HookPostrouting, HookEgress}
	if j.packet.incoming {
		path = []Hook{HookIngress, HookPrerouting, HookInput}
	}
	j.packet.track.tracked = false
	for _, j.hook = range path {
		tracks := j.hook == HookPrerouting || j.hook == HookOutput
		for i := range j.firewall.Chains {
			c := &j.firewall.Chains[i]
			if tracks && c.Priority >= priorityConntrack {
				j.packet.track.tracks(j.packet)
				tracks = false
			}
			if j.meets(c) && j.base(c) {
				return true
			}
		}
		if tracks {
			j.packet.track.tracks(j.packet)
		}
	}
	return false
}

// base walks a chain of the hook, and reports whether the packet surely ends in it. A
// packet that may have ended before either has, or comes here: that leaves nothing open.
func (j *judgement) base(c *Chain) (stopped bool) {
	j.doubt = j.aside
	j.open = j.open || j.aside != none
	verdict := j.chain(c, deepest)
	if verdict == undecided || verdict == nftReturn {
		verdict = nfAccept
		if c.Drops {
			verdict = nfDrop
			j.hit(&Hit{Deed: Drops, Family: c.Family, Table: c.Table, Chain: c.Name}, j.doubt)
		}
	}
	if j.packet.moved {
		j.packet.translate()
		j.packet.moved = false
	}
	if c.Type == "route" && j.packet.marked { // the routes are asked again
		j.packet.device, j.packet.index, j.packet.marked = "", 0, false
	}
	return verdict == nfDrop && j.doubt == none
}

// judgement is the way of a packet through the chains of its hooks.
type judgement struct {
	firewall *Firewall
	packet   *header
	number   int
	hook     Hook
	device   string // of the chain, in the hooks of a device
	aside    doubt  // why the packet may not meet the chain at all
	doubt    doubt  // why the packet may not come to this rule of the chain, if it comes to the chain
	raised   int    // how often something raised it
	open     bool   // anything was open
	rest     int    // rules that may still be looked at: jumps can multiply them
	hits     []Hit
}

// hit takes in what is sure, what only a limit leaves open, or what is about MPTCP.
func (j *judgement) hit(h *Hit, why doubt) {
	h.Hook, h.Packet = j.hook, j.number
	h.Sure, h.Limited = why == none, why == limited
	if (h.Sure || h.Limited || h.MPTCP) && len(j.hits) < mostHits && !slices.Contains(j.hits, *h) {
		j.hits = append(j.hits, *h)
	}
}

// raise notes that the packet may not come to what is behind in the chain.
func (j *judgement) raise(why doubt) {
	j.doubt = max(j.doubt, why)
	j.raised++
	j.open = true
}

// meets reports whether the packet meets the chain in the present hook, and of which
// device it is, as far as that is known.
func (j *judgement) meets(c *Chain) bool {
	j.device, j.aside = "", none
	if c.Hook != j.hook || !j.packet.isOf(c.Family) || c.Type == "nat" && !j.packet.track.mayBeNew() {
		return false
	}
	if c.Hook != HookIngress && c.Hook != HookEgress {
		return true
	}
	for _, d := range c.Devices {
		below := slices.Contains(j.packet.below, d)
		if d != j.packet.device && j.packet.device != "" && !below {
			continue
		}
		if j.device = d; d != j.packet.device && len(j.packet.below) != 1 {
			j.aside = unknown
		}
		return true
	}
	return false
}

// chain walks a chain, and returns a verdict of nf_tables.
func (j *judgement) chain(c *Chain, depth int) int32 {
	for i := range c.Rules {
		if j.rest--; j.rest < 0 || depth == 0 {
			j.raise(unknown)
			return undecided
		}
		switch verdict := j.rule(c, &c.Rules[i], depth); verdict {
		case undecided:
		case nftReturn:
			return undecided
		default:
			return verdict
		}
	}
	return undecided
}

// rule returns what the rule decides, undecided where it does not fit.
func (j *judgement) rule(c *Chain, r *Rule, depth int) int32 {
	m := machine{
		packet: j.packet, sets: j.firewall, family: c.Family, table: c.Table, device: j.device,
		reached: j.doubt == none,
	}
	for i := range r.Expressions {
		verdict, target := m.step(&r.Expressions[i])
		if verdict == nftBreak {
			return undecided
		}
		h := Hit{Family: c.Family, Table: c.Table, Chain: c.Name, Handle: r.Handle, MPTCP: m.mptcp}
		if m.strips {
			h.Deed, m.strips = Strips, false
			j.strip(&h, max(j.doubt, m.doubt))
		}
		if verdict == nfDrop {
			h.Deed = Drops
			if m.rejects {
				h.Deed = Rejects
			}
			j.hit(&h, max(j.doubt, m.doubt))
		}
		if verdict == nftJump || verdict == nftGoto {
			verdict = j.enter(c, target, verdict, depth, m.doubt)
		}
		switch {
		case verdict == undecided:
			continue
		case m.doubt == none:
			return verdict
		case verdict == nfDrop:
			j.open = true // where the packet is not stopped all goes on as if the rule were not there
		default:
			j.raise(m.doubt)
		}
		return undecided
	}
	if m.puzzled {
		j.raise(unknown) // what it does is not known
	}
	return undecided
}

// strip takes option 30 out of the packet.
func (j *judgement) strip(h *Hit, why doubt) {
	j.hit(h, why)
	if why == none {
		j.packet.option = nil
		return
	}
	j.packet.optionOpen, j.open = true, true
}

// enter walks the chain that a rule jumps to.
func (j *judgement) enter(from *Chain, name string, how int32, depth int, why doubt) int32 {
	before, raised := j.doubt, j.raised
	j.doubt = max(j.doubt, why)
	verdict := j.jump(from, name, how, depth)
	if j.raised == raised {
		j.doubt = before
	}
	return verdict
}

// jump walks the chain of that name in the same table.
func (j *judgement) jump(from *Chain, name string, how int32, depth int) int32 {
	for i := range j.firewall.Chains {
		c := &j.firewall.Chains[i]
		if c.Family != from.Family || c.Table != from.Table || c.Name != name {
			continue
		}
		verdict := j.chain(c, depth-1)
		if how == nftGoto && verdict == undecided {
			return nftReturn
		}
		return verdict
	}
	j.raise(unknown)
	return undecided
}

// isOf reports whether the packet passes tables of that family: those of bridges it
// passes only behind a device that is one.
func (h *header) isOf(family string) bool {
	switch family {
	case "ip":
		return h.protocol == uapi.NfprotoIPv4
	case "ip6":
		return h.protocol == uapi.NfprotoIPv6
	case "inet", "netdev":
		return true
	}
	return false
}
