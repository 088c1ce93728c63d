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
// fit, only those that look at MPTCP are told. It does what the kernel would do with
// the rules, chain by chain, and changes nothing.
func (f *Firewall) Judge(p *Packet) []Hit {
	if f == nil || !p.Source.IsValid() || !p.Destination.IsValid() {
		return nil
	}
	path := []Hook{HookOutput, HookPostrouting}
	if p.Incoming {
		path = []Hook{HookPrerouting, HookInput}
	}
	for _, hook := range path {
		j := judgement{firewall: f, packet: newHeader(p), hook: hook, rest: mostJudged}
		for i := range f.Chains {
			c := &f.Chains[i]
			if c.Hook != hook || !j.packet.passes(c.Family) {
				continue
			}
			j.sure = true
			verdict := j.chain(c, deepest)
			if verdict == undecided || verdict == nftReturn {
				verdict = nfAccept
				if c.Drops {
					verdict = nfDrop
					j.hit(Hit{Deed: Drops, Family: c.Family, Table: c.Table, Chain: c.Name, Hook: hook, Sure: j.sure})
				}
			}
			if verdict == nfDrop && j.sure {
				return j.hits
			}
		}
		if len(j.hits) > 0 {
			return j.hits
		}
	}
	return nil
}

// judgement is the way of a packet through the chains of one hook.
type judgement struct {
	firewall *Firewall
	packet   *header
	hook     Hook
	sure     bool // nothing unknown has had a chance to decide before
	rest     int  // rules that may still be looked at: jumps can multiply them
	hits     []Hit
}

// hit takes in what is sure, or about MPTCP.
func (j *judgement) hit(h Hit) {
	if (h.Sure || h.MPTCP) && len(j.hits) < mostHits && !slices.Contains(j.hits, h) {
		j.hits = append(j.hits, h)
	}
}

// chain walks a chain, and returns a verdict of nf_tables.
func (j *judgement) chain(c *Chain, depth int) int32 {
	for i := range c.Rules {
		if j.rest--; j.rest < 0 || depth == 0 {
			j.sure = false
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
	m := machine{packet: j.packet}
	for i := range r.Expressions {
		verdict, target := m.step(&r.Expressions[i])
		if verdict == nftBreak {
			return undecided
		}
		h := Hit{
			Family: c.Family,
			Table:  c.Table,
			Chain:  c.Name,
			Hook:   j.hook,
			Handle: r.Handle,
			Sure:   j.sure && !m.maybe,
			MPTCP:  m.mptcp,
		}
		if m.strips {
			h.Deed, m.strips = Strips, false
			j.hit(h)
			if h.Sure {
				j.packet.option = nil
			}
		}
		if verdict == undecided {
			continue
		}
		if verdict == nfDrop {
			h.Deed = Drops
			if m.rejects {
				h.Deed = Rejects
			}
			j.hit(h)
		}
		if verdict == nftJump || verdict == nftGoto {
			j.sure = j.sure && !m.maybe
			verdict = j.jump(c, target, verdict, depth)
		}
		if m.maybe && verdict != undecided {
			j.sure = false // the packet may have ended here
			return undecided
		}
		return verdict
	}
	if m.puzzled {
		j.sure = false // what it does is not known
	}
	return undecided
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
	j.sure = false
	return undecided
}

// passes reports whether the packet passes tables of that family.
func (h *header) passes(family string) bool {
	return family == "inet" || (family == "ip") == (h.protocol == uapi.NfprotoIPv4)
}
