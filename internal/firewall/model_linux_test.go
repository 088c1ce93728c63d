package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/await"
	"mptcpctl/internal/lab"
	"mptcpctl/internal/lab/labtest"
	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestModel makes random rules, sends the packets of a flow through the kernel, and
// compares what arrives with what the judge says. FIREWALL_WORLDS is how many,
// FIREWALL_SEED of which series, FIREWALL_ONLY one of them.
func TestModel(t *testing.T) {
	if labtest.KernelBefore(t, 6, 18) {
		labtest.Skip(t, "the judge is compared with Linux 6.18")
	}
	worlds, seed := labtest.Setting(t, "FIREWALL_WORLDS", labtest.Rounds(150, 2000)), labtest.Setting(t, "FIREWALL_SEED", 1)
	only := labtest.Setting(t, "FIREWALL_ONLY", 0)
	g := newGround(t)
	compared, stopped, stripped, open, refused := 0, 0, 0, 0, 0
	for n := 1; n <= worlds && !t.Failed(); n++ {
		if only != 0 && n != only {
			continue
		}
		w := newWorld(uint64(seed), uint64(n))
		if err := g.load(w); err != nil {
			if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
				t.Fatalf("world %d: %v\n%s", n, err, w)
			}
			refused++ // no such rule on this kernel
			continue
		}
		f := g.read(t)
		want, sure := f.follow(w.packets)
		if !sure {
			open++
			continue
		}
		compared++
		for i, p := range w.packets {
			fate := g.send(t, p, n, i)
			hit := slices.IndexFunc(want, func(h Hit) bool { return h.Packet == i && h.Deed != Strips })
			strips := slices.ContainsFunc(want, func(h Hit) bool { return h.Packet == i && h.Deed == Strips })
			said := fated{arrives: hit < 0, option: hit < 0 && p.MPTCP != nil && !strips}
			if fate != said {
				t.Errorf("world %d of series %d, packet %d (%+v): the kernel %v, the judge %v by %v\n%s",
					n, seed, i, *p, fate, said, want, w)
			}
			if strips {
				stripped++
			}
			if !fate.arrives {
				stopped++
				break
			}
		}
	}
	t.Logf("%d worlds: %d compared, in %d of which a packet was stopped, in %d stripped; %d open, %d refused by the kernel",
		worlds, compared, stopped, stripped, open, refused)
}

// fated is what becomes of a packet.
type fated struct{ arrives, option bool }

// The addresses and ports of all flows.
var (
	here4, there4 = netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("10.77.0.2")
	here6, there6 = netip.MustParseAddr("fd77::1"), netip.MustParseAddr("fd77::2")
)

const localPort = 7001

// ground is a host with a packet filter, and one beside it that answers nothing.
type ground struct {
	host, peer       *lab.Namespace
	filter           int // netlink
	raw4, raw6       int // of the host: it sends and gets TCP segments
	tap, beside      int // packet sockets on both ends of the wire
	index, peerIndex int
	mac, peerMAC     [6]byte
}

func newGround(t *testing.T) *ground {
	t.Helper()
	runtime.LockOSThread() // packets are dealt with in their order on one processor
	t.Cleanup(runtime.UnlockOSThread)
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if before.IsSet(cpu) {
			one.Set(cpu)
			break
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.SchedSetaffinity(0, &before) })

	g := &ground{host: labtest.Namespace(t), peer: labtest.Namespace(t)}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	must("host", g.host.Do(func() error { return g.buildHost() }))
	must("peer", g.peer.Do(func() error { return g.buildPeer() }))
	must("neighbours", g.host.Do(func() error { return g.meet() }))
	await.True(t, "the wire carries packets both ways", func() bool { return g.carries(t) })
	t.Cleanup(func() {
		for _, fd := range []int{g.filter, g.raw4, g.raw6, g.tap, g.beside} {
			unix.Close(fd)
		}
	})
	return g
}

// carries reports whether the wire carries packets: the kernel drops what is sent until it has
// given the link its queue, which a task of its own does when the link is up.
func (g *ground) carries(t *testing.T) bool {
	t.Helper()
	const probe = 1 << 31 // no world has this sequence number
	p := &Packet{
		Source: netip.AddrPortFrom(here4, 9), Destination: netip.AddrPortFrom(there4, 9), Flags: 0x02,
	}
	if err := g.sendRaw(g.raw4, p, segmentOf(p, probe, 0)); err != nil {
		t.Fatal(err)
	}
	out, _ := g.tapped(t, probe, unix.MSG_DONTWAIT)
	mark := make([]byte, 60)
	binary.BigEndian.PutUint16(mark[12:], protocolMark)
	binary.BigEndian.PutUint32(mark[14:], probe)
	if err := g.write(g.beside, g.peerIndex, mark); err != nil {
		t.Fatal(err)
	}
	_, in := g.tapped(t, probe, unix.MSG_DONTWAIT)
	return out.arrives && in
}

func (g *ground) buildHost() error {
	wire := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "wire"}, PeerName: "end", PeerNamespace: netlink.NsFd(g.peer.Fd())}
	if err := netlink.LinkAdd(wire); err != nil {
		return err
	}
	for _, a := range []netip.Addr{here4, here6} {
		address, err := netlink.ParseAddr(netip.PrefixFrom(a, a.BitLen()-8).String())
		if err != nil {
			return err
		}
		address.Flags = unix.IFA_F_NODAD
		if err := netlink.AddrAdd(wire, address); err != nil {
			return err
		}
	}
	if err := netlink.LinkSetUp(wire); err != nil {
		return err
	}
	var err error
	if g.filter, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER); err != nil {
		return err
	}
	if g.raw4, err = rawSocket(here4); err != nil {
		return err
	}
	if g.raw6, err = rawSocket(here6); err != nil {
		return err
	}
	link, err := netlink.LinkByName("wire")
	if err != nil {
		return err
	}
	g.index = link.Attrs().Index
	copy(g.mac[:], link.Attrs().HardwareAddr)
	g.tap, err = packetSocket(g.index)
	return err
}

func (g *ground) buildPeer() error {
	link, err := netlink.LinkByName("end")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	g.peerIndex = link.Attrs().Index
	copy(g.peerMAC[:], link.Attrs().HardwareAddr)
	g.beside, err = packetSocket(g.peerIndex)
	return err
}

// meet makes the peer known to the host, which answers no question, and the host's
// ports swallow what comes.
func (g *ground) meet() error {
	for _, a := range []netip.Addr{there4, there6} {
		n := &netlink.Neigh{LinkIndex: g.index, State: netlink.NUD_PERMANENT, IP: a.AsSlice(), HardwareAddr: g.peerMAC[:]}
		if err := netlink.NeighAdd(n); err != nil {
			return err
		}
	}
	listener, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}}
	if err := unix.SetsockoptSockFprog(listener, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: 1, Filter: &nothing[0]}); err != nil {
		return err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet6{Port: localPort}); err != nil {
		return err
	}
	return unix.Listen(listener, 1) // until the test's process ends: the namespace goes with it
}

func rawSocket(a netip.Addr) (int, error) {
	if a.Is4() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
		if err != nil {
			return -1, err
		}
		return fd, unix.Bind(fd, &unix.SockaddrInet4{Addr: a.As4()})
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_TCP)
	if err != nil {
		return -1, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet6{Addr: a.As16()})
}

func packetSocket(index int) (int, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	timeout := unix.Timeval{Sec: 30}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return -1, err
	}
	const every = 0x0300 // ETH_P_ALL in network order
	return fd, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: index})
}

// send sends the packet, and says what becomes of it.
func (g *ground) send(t *testing.T, p *Packet, world, number int) fated {
	t.Helper()
	first, second := uint32(world)<<8, uint32(world)<<8+100 // of the two sides
	sequence := [...]uint32{first, second, first + 1, second + 1}[number]
	segment := segmentOf(p, sequence, [...]uint32{0, first + 1, second + 1, first + 1}[number])
	raw := g.raw4
	if p.Source.Addr().Is6() {
		raw = g.raw6
	}
	if !p.Incoming { // it is on the wire, if at all, when the call returns
		err := g.sendRaw(raw, p, segment)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOBUFS) { // what a rule drops
			t.Fatal(err)
		}
		fate, _ := g.tapped(t, sequence, unix.MSG_DONTWAIT)
		return fate
	}
	mark := make([]byte, 60)
	binary.BigEndian.PutUint16(mark[12:], protocolMark)
	binary.BigEndian.PutUint32(mark[14:], sequence)
	for _, frame := range [][]byte{g.frame(p, segment), mark} {
		if err := g.write(g.beside, g.peerIndex, frame); err != nil {
			t.Fatal(err)
		}
	}
	for marked := false; !marked; { // it is dealt with when what was sent behind it is seen
		_, marked = g.tapped(t, sequence, 0)
	}
	return received(raw, p, sequence)
}

// protocolMark is that of frames that no rule sees, for experiments (IEEE 802).
const protocolMark = 0x88b5

// tapped reads what has passed the host's end of the wire, up to the mark or to the end.
func (g *ground) tapped(t *testing.T, sequence uint32, flags int) (fate fated, marked bool) {
	t.Helper()
	buffer := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(g.tap, buffer, flags)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN) && flags != 0:
			return fate, false
		case err != nil:
			t.Fatalf("the mark did not arrive: %v", err)
		}
		frame := buffer[:n]
		switch binary.BigEndian.Uint16(frame[12:]) {
		case protocolMark:
			if binary.BigEndian.Uint32(frame[14:]) == sequence {
				return fate, true
			}
		case 0x0800:
			fate.see(frame[14+20:], sequence)
		case 0x86dd:
			fate.see(frame[14+40:], sequence)
		}
	}
}

func (g *ground) write(fd, index int, frame []byte) error {
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index})
}

func (g *ground) sendRaw(fd int, p *Packet, segment []byte) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(p.Mark.Value)); err != nil {
		return err
	}
	to := p.Destination.Addr()
	if to.Is4() {
		return unix.Sendto(fd, segment, 0, &unix.SockaddrInet4{Addr: to.As4()})
	}
	return unix.Sendto(fd, segment, 0, &unix.SockaddrInet6{Addr: to.As16()})
}

// received reads what has come to the host behind its packet filter.
func received(fd int, p *Packet, sequence uint32) (fate fated) {
	buffer := make([]byte, 2048)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			return fate
		}
		segment := buffer[:n]
		if p.Source.Addr().Is4() {
			segment = segment[20:]
		}
		fate.see(segment, sequence)
	}
}

// see takes a segment in, if it is that one.
func (f *fated) see(segment []byte, sequence uint32) {
	if len(segment) < 20 || binary.BigEndian.Uint32(segment[4:]) != sequence {
		return
	}
	f.arrives = true
	f.option = len(segment) > 20 && segment[20] == optionMPTCP
}

// frame puts the segment of an incoming packet into a frame.
func (g *ground) frame(p *Packet, segment []byte) []byte {
	b := slices.Concat(g.mac[:], g.peerMAC[:])
	from, to := p.Source.Addr().AsSlice(), p.Destination.Addr().AsSlice()
	if p.Source.Addr().Is4() {
		b = append(b, 0x08, 0x00)
		ip := []byte{0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(20+len(segment)))
		ip = slices.Concat(ip, from, to)
		binary.BigEndian.PutUint16(ip[10:], ^sum(ip))
		return slices.Concat(b, ip, segment)
	}
	b = append(b, 0x86, 0xdd)
	ip := []byte{0x60, 0, 0, 0, 0, 0, 6, 64}
	binary.BigEndian.PutUint16(ip[4:], uint16(len(segment)))
	return slices.Concat(b, ip, from, to, segment)
}

// segmentOf returns a TCP segment with a right checksum.
func segmentOf(p *Packet, sequence, acknowledged uint32) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b, p.Source.Port())
	binary.BigEndian.PutUint16(b[2:], p.Destination.Port())
	binary.BigEndian.PutUint32(b[4:], sequence)
	binary.BigEndian.PutUint32(b[8:], acknowledged)
	binary.BigEndian.PutUint16(b[14:], 65535)
	if p.MPTCP != nil {
		b = append(b, optionMPTCP, byte(len(p.MPTCP)+2))
		b = append(b, p.MPTCP...)
	}
	b[12], b[13] = byte(len(b)/4<<4), p.Flags
	pseudo := slices.Concat(p.Source.Addr().AsSlice(), p.Destination.Addr().AsSlice(), []byte{0, 6, 0, byte(len(b))})
	binary.BigEndian.PutUint16(b[16:], ^sum(slices.Concat(pseudo, b)))
	return b
}

// sum is the sum of the Internet's checksum (RFC 1071).
func sum(b []byte) uint16 {
	var n uint32
	for i := 0; i+1 < len(b); i += 2 {
		n += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return uint16(n)
}

func (g *ground) read(t *testing.T) (f *Firewall) {
	t.Helper()
	err := g.host.Do(func() (err error) {
		f, err = Read(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// load replaces all rules of the host by those of the world.
func (g *ground) load(w *world) error {
	b := &batch{}
	b.add(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	b.message(unix.NFT_MSG_DELTABLE, 0, unix.AF_UNSPEC, nil)
	b.messages = append(b.messages, w.messages...)
	b.message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE|unix.NLM_F_ACK, unix.NFPROTO_INET, words(unix.NFTA_TABLE_NAME, "last"))
	b.add(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	if err := unix.Sendto(g.filter, b.messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 64<<10)
	var refusal error
	for {
		n, _, err := unix.Recvfrom(g.filter, answer, 0)
		if err != nil {
			return err
		}
		last := false
		for m := range nlmsg.Messages(answer[:n]) {
			code, ok := m.Code()
			if ok && m.Type() == nlmsg.TypeError && code < 0 && refusal == nil {
				refusal = unix.Errno(-code)
			}
			last = last || m.Sequence() == lastSequence
		}
		if last {
			return refusal
		}
	}
}

// lastSequence numbers the message that is acknowledged.
const lastSequence = 1 << 20

// batch collects the messages of a transaction.
type batch struct{ messages []byte }

func (b *batch) message(kind, flags uint16, family byte, attributes []byte) {
	b.add(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, family, 0, attributes)
}

func (b *batch) add(kind, flags uint16, family byte, resource uint16, attributes []byte) {
	sequence := uint32(1)
	if flags&unix.NLM_F_ACK != 0 {
		sequence = lastSequence
	}
	m := nlmsg.AppendHeader(nil, kind, unix.NLM_F_REQUEST|flags, sequence)
	m = append(binary.BigEndian.AppendUint16(append(m, family, 0), resource), attributes...)
	nlmsg.SetLength(m)
	b.messages = append(b.messages, nlmsg.Pad(m)...)
}

func data(kind uint16, b ...byte) []byte { return nlmsg.AppendAttribute(nil, kind, b...) }
func number(kind uint16, n uint32) []byte {
	return data(kind, binary.BigEndian.AppendUint32(nil, n)...)
}
func words(kind uint16, s string) []byte { return data(kind, append([]byte(s), 0)...) }
func nest(kind uint16, parts ...[]byte) []byte {
	return nlmsg.AppendNested(nil, kind, func(b []byte) []byte { return append(b, slices.Concat(parts...)...) })
}
func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// world is a packet filter, and a flow that meets it.
type world struct {
	packets  []*Packet
	messages []byte
	text     strings.Builder
	random   *rand.Rand
	family   byte
	hook     Hook
	sets     int
}

func (w *world) String() string { return w.text.String() }

func newWorld(seed, number uint64) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, number))}
	w.flow(uint16(10000 + number%50000)) // of which connection tracking knows nothing yet
	for table := range 1 + w.random.IntN(3) {
		w.table(table)
	}
	return w
}

func (w *world) one(n int) bool { return w.random.IntN(n) == 0 }

// flow is the beginning of a connection: who makes it, and how many packets are looked at.
func (w *world) flow(remotePort uint16) {
	here, there := here4, there4
	if w.one(3) {
		here, there = here6, there6
	}
	from, to := netip.AddrPortFrom(here, localPort), netip.AddrPortFrom(there, remotePort)
	client := w.one(2)
	subtype := byte(w.random.IntN(3)) << 4
	option := []byte{subtype, 1}
	if w.one(8) {
		option = nil
	}
	mark := Known[uint32]{Value: uint32(w.random.IntN(3)), Is: true}
	for i, flags := range []byte{FlagSYN, FlagSYN | FlagACK, FlagACK, FlagACK}[:1+w.random.IntN(4)] {
		out := client == (i%2 == 0)
		p := &Packet{Incoming: !out, Device: "wire", Flags: flags, MPTCP: option, Source: from, Destination: to, Mark: mark}
		if !out {
			p.Source, p.Destination = to, from
		}
		w.packets = append(w.packets, p)
	}
}

func (w *world) table(n int) {
	b := &batch{}
	families := []byte{uapi.NfprotoInet, uapi.NfprotoInet, uapi.NfprotoIPv4, uapi.NfprotoIPv6, uapi.NfprotoNetdev}
	w.family = families[w.random.IntN(len(families))]
	name := fmt.Sprintf("t%d", n)
	fmt.Fprintf(&w.text, "table %d %s\n", w.family, name)
	b.message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, w.family, words(unix.NFTA_TABLE_NAME, name))
	jumps := w.random.IntN(2)
	for i := range jumps {
		b.message(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, w.family, slices.Concat(
			words(unix.NFTA_CHAIN_TABLE, name), words(unix.NFTA_CHAIN_NAME, fmt.Sprintf("j%d", i)),
		))
	}
	var rules batch
	for i := range jumps {
		w.hook = ""
		w.rules(&rules, b, name, fmt.Sprintf("j%d", i), 0)
	}
	for i := range 1 + w.random.IntN(2) {
		w.base(b, &rules, name, fmt.Sprintf("b%d", i), jumps)
	}
	w.messages = append(append(w.messages, b.messages...), rules.messages...)
}

func (w *world) base(b, rules *batch, table, chain string, jumps int) {
	numbers := hooks[:]
	if w.family == uapi.NfprotoNetdev {
		numbers = deviceHooks[:]
	}
	number1 := w.random.IntN(len(numbers))
	w.hook = numbers[number1]
	if w.hook == HookForward || w.hook == HookIngress && w.family != uapi.NfprotoNetdev && w.family != uapi.NfprotoInet {
		number1, w.hook = 1, HookInput
	}
	priority := []int32{-400, -300, -200, -150, 0, 10}[w.random.IntN(6)]
	if priority == -200 {
		priority = -199
	}
	policy := uint32(nfAccept)
	if w.one(5) {
		policy = nfDrop
	}
	kind := "filter"
	if w.hook == HookOutput && w.one(3) {
		kind = "route"
	}
	hook := slices.Concat(number(unix.NFTA_HOOK_HOOKNUM, uint32(number1)), number(unix.NFTA_HOOK_PRIORITY, uint32(priority)))
	if w.hook == HookIngress || w.hook == HookEgress {
		hook = append(hook, words(uapi.NftaHookDev, "wire")...)
	}
	if w.family == uapi.NfprotoInet && kind == "route" {
		kind = "filter"
	}
	fmt.Fprintf(&w.text, " chain %s %s %s %d policy %d\n", chain, kind, w.hook, priority, policy)
	b.message(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, w.family, slices.Concat(
		words(unix.NFTA_CHAIN_TABLE, table), words(unix.NFTA_CHAIN_NAME, chain), words(unix.NFTA_CHAIN_TYPE, kind),
		nest(unix.NFTA_CHAIN_HOOK, hook), number(unix.NFTA_CHAIN_POLICY, policy),
	))
	w.rules(rules, b, table, chain, jumps)
}

func (w *world) rules(rules, b *batch, table, chain string, jumps int) {
	for range 1 + w.random.IntN(3) {
		var e []byte
		for range w.random.IntN(3) {
			e = append(e, w.match(b, table)...)
		}
		e = append(e, w.verdict(jumps)...)
		fmt.Fprintf(&w.text, "  in %s\n", chain)
		rules.message(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, w.family, slices.Concat(
			words(unix.NFTA_RULE_TABLE, table), words(unix.NFTA_RULE_CHAIN, chain), nest(unix.NFTA_RULE_EXPRESSIONS, e),
		))
	}
}

// expressed is one expression of a rule.
func (w *world) expressed(name string, parts ...[]byte) []byte {
	fmt.Fprintf(&w.text, "   %s %x\n", name, slices.Concat(parts...))
	return nest(unix.NFTA_LIST_ELEM, words(unix.NFTA_EXPR_NAME, name), nest(unix.NFTA_EXPR_DATA, parts...))
}

func (w *world) verdict(jumps int) []byte {
	code := func(code int32, more ...[]byte) []byte {
		return w.expressed("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_VERDICT),
			nest(unix.NFTA_IMMEDIATE_DATA, nest(unix.NFTA_DATA_VERDICT, number(unix.NFTA_VERDICT_CODE, uint32(code)), slices.Concat(more...))))
	}
	device := w.hook == HookIngress || w.hook == HookEgress
	switch choice := w.random.IntN(12); {
	case choice < 3:
		return code(nfDrop)
	case choice < 5:
		return code(nfAccept)
	case choice == 5:
		return code(nftReturn)
	case choice == 6 && jumps > 0:
		return code(nftJump, words(unix.NFTA_VERDICT_CHAIN, "j0"))
	case choice == 7 && jumps > 0:
		return code(nftGoto, words(unix.NFTA_VERDICT_CHAIN, "j0"))
	case choice == 8: // takes the option out
		return w.expressed("exthdr", data(unix.NFTA_EXTHDR_TYPE, optionMPTCP), number(unix.NFTA_EXTHDR_OP, unix.NFT_EXTHDR_OP_TCPOPT))
	case choice == 9: // sets the mark
		return slices.Concat(
			w.loads(native(uint32(w.random.IntN(3)))),
			w.expressed("meta", number(unix.NFTA_META_KEY, unix.NFT_META_MARK), number(unix.NFTA_META_SREG, unix.NFT_REG_1)))
	case choice == 10 && (w.hook == HookPrerouting || w.hook == HookOutput) && !device:
		if w.one(2) {
			return w.expressed("notrack")
		}
		return slices.Concat(w.loads([]byte{byte(1 + w.random.IntN(2)), 0}),
			w.expressed("ct", number(unix.NFTA_CT_KEY, uapi.NftCTZone), number(unix.NFTA_CT_SREG, unix.NFT_REG_1)))
	}
	return w.expressed("counter")
}

func (w *world) loads(value []byte) []byte {
	return w.expressed("immediate", number(unix.NFTA_IMMEDIATE_DREG, unix.NFT_REG_1),
		nest(unix.NFTA_IMMEDIATE_DATA, data(unix.NFTA_DATA_VALUE, value...)))
}

// match loads something of the packet, and compares it.
func (w *world) match(b *batch, table string) []byte {
	p := w.packets[w.random.IntN(len(w.packets))]
	meta := func(key uint32) []byte {
		return w.expressed("meta", number(unix.NFTA_META_DREG, unix.NFT_REG_1), number(unix.NFTA_META_KEY, key))
	}
	payload := func(base, offset, size uint32) []byte {
		return w.expressed("payload", number(unix.NFTA_PAYLOAD_DREG, unix.NFT_REG_1), number(unix.NFTA_PAYLOAD_BASE, base),
			number(unix.NFTA_PAYLOAD_OFFSET, offset), number(unix.NFTA_PAYLOAD_LEN, size))
	}
	port := func(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
	switch w.random.IntN(11) {
	case 0:
		name := make([]byte, nameSize)
		copy(name, []string{"wire", "wire", "other"}[w.random.IntN(3)])
		return slices.Concat(meta([]uint32{unix.NFT_META_IIFNAME, unix.NFT_META_OIFNAME}[w.random.IntN(2)]), w.compares(b, table, name))
	case 1:
		return slices.Concat(meta(unix.NFT_META_MARK), w.compares(b, table, native(uint32(w.random.IntN(3)))))
	case 2:
		return slices.Concat(meta(unix.NFT_META_NFPROTO), w.compares(b, table, []byte{[]byte{2, 10, 5}[w.random.IntN(3)]}))
	case 3:
		return slices.Concat(meta(unix.NFT_META_PROTOCOL), w.compares(b, table, [][]byte{{8, 0}, {0x86, 0xdd}}[w.random.IntN(2)]))
	case 4:
		return slices.Concat(payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2), w.compares(b, table, port(p.Destination.Port())))
	case 5:
		return slices.Concat(payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2), w.compares(b, table, port(p.Source.Port())))
	case 6: // tcp flags & (syn|ack)
		return slices.Concat(payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 13, 1), w.masks([]byte{0x12}), w.compares(b, table, []byte{p.Flags}))
	case 7:
		offset, size := uint32(12), uint32(4)
		if p.Source.Addr().Is6() {
			offset, size = 8, 16
		}
		mask := make([]byte, size)
		for i := range mask {
			mask[i] = 0xff
		}
		mask[size-1] = []byte{0xff, 0xfe, 0}[w.random.IntN(3)]
		return slices.Concat(payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size), w.masks(mask), w.compares(b, table, p.Source.Addr().AsSlice()))
	case 8: // tcp option mptcp exists
		return slices.Concat(w.exthdr(0, unix.NFT_EXTHDR_F_PRESENT), w.compares(nil, table, []byte{byte(w.random.IntN(2))}))
	case 9: // tcp option mptcp subtype
		return slices.Concat(w.exthdr(2, 0), w.masks([]byte{0xf0}), w.compares(b, table, []byte{byte(w.random.IntN(3)) << 4}))
	}
	if w.hook == HookIngress || w.hook == HookEgress || w.family == uapi.NfprotoNetdev {
		return meta(unix.NFT_META_L4PROTO)
	}
	states := []uint32{stateInvalid, stateEstablished, stateNew, stateUntracked, stateNew | stateEstablished}
	ct := w.expressed("ct", number(unix.NFTA_CT_DREG, unix.NFT_REG_1), number(unix.NFTA_CT_KEY, uapi.NftCTState))
	return slices.Concat(ct, w.masks(native(states[w.random.IntN(len(states))])),
		w.expressed("cmp", number(unix.NFTA_CMP_SREG, unix.NFT_REG_1), number(unix.NFTA_CMP_OP, uint32(w.random.IntN(2))),
			nest(unix.NFTA_CMP_DATA, data(unix.NFTA_DATA_VALUE, native(0)...))))
}

func (w *world) exthdr(offset, flags uint32) []byte {
	return w.expressed("exthdr", number(unix.NFTA_EXTHDR_DREG, unix.NFT_REG_1), data(unix.NFTA_EXTHDR_TYPE, optionMPTCP),
		number(unix.NFTA_EXTHDR_OP, unix.NFT_EXTHDR_OP_TCPOPT), number(unix.NFTA_EXTHDR_OFFSET, offset),
		number(unix.NFTA_EXTHDR_LEN, 1), number(unix.NFTA_EXTHDR_FLAGS, flags))
}

func (w *world) masks(mask []byte) []byte {
	return w.expressed("bitwise", number(unix.NFTA_BITWISE_SREG, unix.NFT_REG_1), number(unix.NFTA_BITWISE_DREG, unix.NFT_REG_1),
		number(unix.NFTA_BITWISE_LEN, uint32(len(mask))), number(uapi.NftaBitwiseOp, 0),
		nest(unix.NFTA_BITWISE_MASK, data(unix.NFTA_DATA_VALUE, mask...)),
		nest(unix.NFTA_BITWISE_XOR, data(unix.NFTA_DATA_VALUE, make([]byte, len(mask))...)))
}

// compares compares register 1 with a value, a range or a set around it.
func (w *world) compares(b *batch, table string, value []byte) []byte {
	low, high := slices.Clone(value), slices.Clone(value)
	last := len(value) - 1
	low[last] -= min(low[last], byte(w.random.IntN(4)))
	high[last] += min(255-high[last], byte(w.random.IntN(4)))
	switch choice := w.random.IntN(4); {
	case choice < 2 || b == nil:
		op := []uint32{uapi.NftCmpEq, uapi.NftCmpEq, uapi.NftCmpNeq, uapi.NftCmpLt, uapi.NftCmpLte, uapi.NftCmpGt, uapi.NftCmpGte}[w.random.IntN(7)]
		return w.expressed("cmp", number(unix.NFTA_CMP_SREG, unix.NFT_REG_1), number(unix.NFTA_CMP_OP, op),
			nest(unix.NFTA_CMP_DATA, data(unix.NFTA_DATA_VALUE, value...)))
	case choice == 2:
		return w.expressed("range", number(unix.NFTA_RANGE_SREG, unix.NFT_REG_1), number(unix.NFTA_RANGE_OP, uint32(w.random.IntN(2))),
			nest(unix.NFTA_RANGE_FROM_DATA, data(unix.NFTA_DATA_VALUE, low...)),
			nest(unix.NFTA_RANGE_TO_DATA, data(unix.NFTA_DATA_VALUE, high...)))
	}
	return w.looksUp(b, table, value, high)
}

// looksUp makes a set, a range's or a map's, and looks the register up in it.
func (w *world) looksUp(b *batch, table string, value, high []byte) []byte {
	w.sets++
	name := fmt.Sprintf("s%d", w.sets)
	interval, verdicts := w.one(2), w.one(3)
	flags := uint32(0)
	more := slices.Concat(number(unix.NFTA_SET_KEY_LEN, uint32(len(value))), number(unix.NFTA_SET_ID, uint32(w.sets)))
	if interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	verdict := []byte{}
	if verdicts {
		flags |= unix.NFT_SET_MAP
		const verdictType = 0xffffff00 // NFT_DATA_VERDICT
		more = slices.Concat(more, number(unix.NFTA_SET_DATA_TYPE, verdictType))
		code := []int32{nfDrop, nfAccept}[w.random.IntN(2)]
		verdict = nest(unix.NFTA_SET_ELEM_DATA, nest(unix.NFTA_DATA_VERDICT, number(unix.NFTA_VERDICT_CODE, uint32(code))))
	}
	b.message(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, w.family, slices.Concat(words(unix.NFTA_SET_TABLE, table),
		words(unix.NFTA_SET_NAME, name), number(unix.NFTA_SET_FLAGS, flags), more))
	element := func(key []byte, flags uint32, data1 []byte) []byte {
		parts := slices.Concat(nest(unix.NFTA_SET_ELEM_KEY, data(unix.NFTA_DATA_VALUE, key...)), data1)
		if flags != 0 {
			parts = append(parts, number(unix.NFTA_SET_ELEM_FLAGS, flags)...)
		}
		return nest(unix.NFTA_LIST_ELEM, parts)
	}
	elements := element(value, 0, verdict)
	if interval && slices.Compare(value, high) < 0 {
		elements = append(elements, element(high, unix.NFT_SET_ELEM_INTERVAL_END, nil)...)
	}
	b.message(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, w.family, slices.Concat(words(unix.NFTA_SET_ELEM_LIST_TABLE, table),
		words(unix.NFTA_SET_ELEM_LIST_SET, name), nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements)))
	fmt.Fprintf(&w.text, "   set %s %x to %x, interval %v, verdicts %x\n", name, value, high, interval, verdict)
	lookup := slices.Concat(words(unix.NFTA_LOOKUP_SET, name), number(unix.NFTA_LOOKUP_SREG, unix.NFT_REG_1))
	if verdicts {
		lookup = append(lookup, number(unix.NFTA_LOOKUP_DREG, unix.NFT_REG_VERDICT)...)
	} else if w.one(3) {
		lookup = append(lookup, number(unix.NFTA_LOOKUP_FLAGS, uapi.NftLookupFInv)...)
	}
	return w.expressed("lookup", lookup)
}
