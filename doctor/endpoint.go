package doctor

import (
	"fmt"
	"strconv"

	"mptcpctl/doctor/command"
	"mptcpctl/doctor/rule"
	"mptcpctl/internal/shell"
	"mptcpctl/ledger"
	"mptcpctl/mptcp"
	"mptcpctl/track"
)

// useless is D19: an endpoint without a flag that says what for.
func useless(v *view) []Finding {
	const purpose = mptcp.FlagSignal | mptcp.FlagSubflow | mptcp.FlagFullmesh | mptcp.FlagLaminar | mptcp.FlagImplicit
	var found []Finding
	for _, e := range v.Endpoints {
		if e.Flags&purpose != 0 || e.Flags.Unknown() != 0 || e.Flags.Has(mptcp.FlagBackup) && v.isInitial(e) {
			continue
		}
		flags := e.Flags.String()
		if flags == "" {
			flags = "none"
		}
		found = append(found, Finding{
			Rule: rule.EndpointWithoutPurpose, Severity: Warn, Confidence: track.Certain,
			Title: fmt.Sprintf(
				"endpoint %s does nothing: it has none of the flags subflow, signal, laminar", e.Address,
			),
			Subject:  v.onEndpoint(e),
			Evidence: []string{fmt.Sprintf("endpoint id %d: flags %s", e.ID, flags)},
			Fix:      []string{command.DeleteEndpoint(e) + " && " + addWithSubflow(v, e)},
			Excluded: excluding("the kernel looks at the flags first, whatever limits and routes there are",
				append(rule.Joins(), rule.SubflowLimit)...),
		})
	}
	return found
}

// addWithSubflow is the command that adds the endpoint with the flag subflow beside those
// that it has.
func addWithSubflow(v *view, e mptcp.Endpoint) string {
	flags := (e.Flags &^ (mptcp.FlagSignal | mptcp.FlagImplicit)) | mptcp.FlagSubflow
	return command.AddEndpoint(e, append(deviceWords(v, e), flags.Names()...)...)
}

// meshAlone is D19 too: with fullmesh and without subflow an endpoint only follows
// announced addresses, and the peer announced none.
func meshAlone(v *view) []Finding {
	var g group
	for _, c := range v.clients {
		if !ready(c) || !v.kernelPM(c) || c.SubflowsUp() > 1 || v.follows(c) {
			continue
		}
		for _, e := range v.Endpoints {
			waits := e.Flags.Has(mptcp.FlagFullmesh) && !e.Flags.CreatesSubflows() && e.Flags&mptcp.FlagLaminar == 0
			if !waits || !sameFamily(e.Address, c.Remote.Addr()) || plain(e.Address) == plain(c.Local.Addr()) {
				continue
			}
			g.add(e.Address.String(), c, func() Finding { return v.waitingMesh(c, e) })
		}
	}
	return g.list
}

func (v *view) waitingMesh(c *mptcp.Connection, e mptcp.Endpoint) Finding {
	return Finding{
		Rule: rule.EndpointWithoutPurpose, Severity: Warn, Confidence: track.Certain,
		Title: fmt.Sprintf(
			"endpoint %s makes no subflow to the peer's own address: it has fullmesh without subflow", e.Address,
		),
		Subject: v.onEndpoint(e),
		Evidence: []string{
			fmt.Sprintf("endpoint id %d: flags %s", e.ID, e.Flags),
			fmt.Sprintf("connection %s has no subflow to an announced address", c.Token),
		},
		Fix: []string{command.DeleteEndpoint(e) + " && " + addWithSubflow(v, e)},
		Excluded: excluding("the kernel looks at the flags first, whatever limits and routes there are",
			append(rule.Joins(), rule.SubflowLimit)...),
	}
}

// follows reports whether the ledger knows an address that the peer announced on the
// connection.
func (v *view) follows(c *mptcp.Connection) bool {
	for entry := range v.ledger().Connection(c.Token) {
		if entry.Kind == ledger.Follow {
			return true
		}
	}
	return false
}

// rebind makes the endpoint anew on the device that has its address now; where none has,
// it can only go.
func (v *view) rebind(e mptcp.Endpoint) string {
	holder, here := v.holders[plain(e.Address)]
	if l, known := v.links[holder.IfIndex]; here && known {
		words := append([]string{"dev", shell.Word(l.Name)}, e.Flags.Names()...)
		return command.DeleteEndpoint(e) + " && " + command.AddEndpoint(e, words...)
	}
	return command.DeleteEndpoint(e) + "   (add it again when a device has the address)"
}

// hearingFix has somebody listen at the address of the endpoint: the application, or the
// kernel, at the port of a listener that has another address.
func (v *view) hearingFix(e mptcp.Endpoint) []string {
	fix := []string{"let the application listen on the wildcard address (0.0.0.0 or ::)"}
	for _, l := range v.Listeners {
		if l.Local.Port() != 0 && e.Port == 0 {
			words := append([]string{"port", strconv.Itoa(int(l.Local.Port()))}, e.Flags.Names()...)
			return append(fix, command.DeleteEndpoint(e)+" && "+command.AddEndpoint(e, words...)+
				"   (or this: the kernel then listens at that address and port)")
		}
	}
	return fix
}

// spareEndpoint is an endpoint to delete where the table is full: one whose address is not
// here, or else the last.
func (v *view) spareEndpoint() []string {
	var fix []string
	var last mptcp.Endpoint
	for _, e := range v.Endpoints {
		if _, missing := v.missing(e); missing {
			fix = append(fix, command.DeleteEndpoint(e)+"   (its address "+e.Address.String()+" is not on this host)")
		}
		if e.ID > last.ID && e.Flags&mptcp.FlagImplicit == 0 {
			last = e
		}
	}
	if len(fix) == 0 {
		fix = []string{command.DeleteEndpoint(last) + "   (the last one; any that is not needed will do)"}
	}
	return fix
}

func deviceWords(v *view, e mptcp.Endpoint) []string {
	if l, ok := v.link(e); ok {
		return []string{"dev", shell.Word(l.Name)}
	}
	return nil
}

// isInitial reports whether some connection started from the endpoint's address:
// there the flag backup alone has a use.
func (v *view) isInitial(e mptcp.Endpoint) bool {
	for i := range v.Connections {
		if plain(v.Connections[i].Local.Addr()) == plain(e.Address) {
			return true
		}
	}
	return false
}

// ownAddress is D20: the only endpoint is where the connection started from.
func ownAddress(v *view) []Finding {
	var g group
	for _, c := range v.clients {
		if !ready(c) || !v.kernelPM(c) || c.SubflowsUp() > 1 {
			continue
		}
		var only *mptcp.Endpoint
		for i := range v.makers {
			e := &v.makers[i]
			if !sameFamily(e.Address, c.Remote.Addr()) {
				continue
			}
			if entry := v.entry(c, *e); only != nil || entry == nil || !entry.May(ledger.FirstAddress) {
				only = nil
				break
			}
			only = e
		}
		if only == nil {
			continue
		}
		g.add(only.Address.String(), c, func() Finding {
			return Finding{
				Rule: rule.InitialAddress, Severity: Info, Confidence: track.Certain,
				Title:    fmt.Sprintf("endpoint %s is the address of the initial subflow", only.Address),
				Subject:  v.onEndpoint(*only),
				Evidence: []string{fmt.Sprintf("the initial subflow of connection %s is from %s", c.Token, c.Local)},
				Fix: []string{
					"nothing is wrong: the initial subflow has id 0. For a second path add an endpoint for another " +
						"address: mptcpctl paths",
				},
				Excluded: v.excludedBy(v.entry(c, *only), rule.InitialAddress),
			}
		})
	}
	return g.list
}

// missing reports whether the endpoint's address cannot be used because of the
// address itself, and why.
func (v *view) missing(e mptcp.Endpoint) (string, bool) {
	switch trouble := v.ground.AddressTrouble(e.Address); {
	case trouble == ledger.AddressMissing:
		return "the address is not on this host", true
	case trouble == ledger.AddressTentative && v.holders[plain(e.Address)].DADFailed:
		return "another host has the address (duplicate address detection failed)", true
	case trouble == ledger.AddressTentative:
		return "the address is tentative: duplicate address detection is not finished", true
	}
	return "", false
}

// notHere is D21: the endpoint's address is not on this host.
func notHere(v *view) []Finding {
	var found []Finding
	for _, e := range v.Endpoints {
		why, missing := v.missing(e)
		if !missing || e.Flags&mptcp.FlagImplicit != 0 {
			continue
		}
		if _, held := v.holders[plain(e.Address)]; !held && announcedOnly(e) {
			found = append(found, v.announcedElsewhere(e)...)
			continue
		}
		evidence := []string{fmt.Sprintf("endpoint id %d: %s", e.ID, why)}
		if n := v.total("MPJoinSynTxBindErr"); n > 0 {
			evidence = append(evidence, fmt.Sprintf("MPJoinSynTxBindErr: %d since the namespace was created", n))
		}
		found = append(found, Finding{
			Rule: rule.AddressMissing, Severity: Fail, Confidence: track.Certain,
			Title:    fmt.Sprintf("endpoint %s cannot be used: %s", e.Address, why),
			Subject:  v.onEndpoint(e),
			Evidence: evidence,
			Fix: []string{
				command.DeleteEndpoint(e),
				"or give the host the address (ip address add, with the prefix length and device that it belongs to)",
			},
			Excluded: excluding("the kernel binds the socket before it looks for a route, so that no SYN leaves",
				append(rule.Joins(), rule.LinkDown, rule.NoRoute)...),
		})
	}
	return found
}

// announcedOnly reports whether the endpoint does nothing but announce its address: no
// subflow starts from it, and the kernel does not listen there.
func announcedOnly(e mptcp.Endpoint) bool {
	return e.Flags.Has(mptcp.FlagSignal) && !e.Flags.CreatesSubflows() && !e.Flags.JoinsAnnounced() && e.Port == 0
}

// announcedElsewhere is D21 for an address that is announced and is not on this host: a
// NAT may map it to one that is. A subflow with its id proves that.
func (v *view) announcedElsewhere(e mptcp.Endpoint) []Finding {
	if v.joinedByID(e.ID) {
		return nil
	}
	return []Finding{{
		Rule: rule.AddressMissing, Severity: Info, Confidence: track.Possible,
		Title:    fmt.Sprintf("endpoint %s is announced, and is no address of this host", e.Address),
		Subject:  v.onEndpoint(e),
		Evidence: []string{fmt.Sprintf("endpoint id %d: %s, and no subflow has this id", e.ID, e.Flags)},
		Fix:      []string{"nothing, if a NAT maps the address to one of this host; else " + command.DeleteEndpoint(e)},
	}}
}

// joinedByID reports whether a subflow that a peer made has the id of the local address.
func (v *view) joinedByID(id mptcp.AddressID) bool {
	for _, c := range v.servers {
		for i := range c.Subflows {
			if s := &c.Subflows[i]; !s.Initial && s.LocalID == id && s.State.Up() {
				return true
			}
		}
	}
	return false
}

// linkTrouble tells why the endpoint's link carries nothing.
func (v *view) linkTrouble(e mptcp.Endpoint) (string, bool) {
	switch v.ground.DeviceTrouble(e) {
	case ledger.NoCause:
		return "", false
	case ledger.DeviceMissing:
		return fmt.Sprintf("the device with index %d no longer exists", e.IfIndex), true
	}
	l, _ := v.link(e)
	return fmt.Sprintf("%s: %s", l.Name, l.State()), true
}

// linkDown is D22: the endpoint's device is down or gone.
func linkDown(v *view) []Finding {
	var found []Finding
	for _, e := range v.Endpoints {
		why, trouble := v.linkTrouble(e)
		if !trouble || e.Flags&mptcp.FlagImplicit != 0 {
			continue
		}
		f := Finding{
			Rule: rule.LinkDown, Severity: Warn, Confidence: track.Certain,
			Title:    fmt.Sprintf("endpoint %s has no working link: %s", e.Address, why),
			Subject:  v.onEndpoint(e),
			Evidence: []string{fmt.Sprintf("endpoint id %d: %s", e.ID, why)},
		}
		if e.IfIndex != 0 { // without a device the packets may leave by another link
			f.Excluded = excluding("its subflows are bound to the device, by which nothing leaves in this state",
				append(rule.Joins(), rule.NoRoute)...)
		}
		if l, ok := v.link(e); ok && !l.Up {
			f.Fix = []string{
				"ip link set " + shell.Word(l.Name) + " up",
				"for connections that exist, then also: " + repair(v, e)[0],
			}
		} else if ok {
			f.Fix = []string{"connect the cable or the radio network of " + l.Name}
		} else {
			f.Severity = Fail
			f.Fix = []string{v.rebind(e)}
		}
		found = append(found, f)
	}
	return found
}

// otherFamily is D23: no endpoint is of the connection's address family.
func otherFamily(v *view) []Finding {
	if len(v.makers) == 0 {
		return nil
	}
	var g group
	for _, c := range v.clients {
		if !ready(c) || !v.kernelPM(c) || c.SubflowsUp() > 1 || v.hasMaker(c) {
			continue
		}
		g.add(mptcp.FamilyOf(plain(c.Remote.Addr())).String(), c, func() Finding { return v.familyFinding(c) })
	}
	return g.list
}

func (v *view) hasMaker(c *mptcp.Connection) bool {
	for _, e := range v.makers {
		if sameFamily(e.Address, c.Remote.Addr()) {
			return true
		}
	}
	return false
}

func (v *view) familyFinding(c *mptcp.Connection) Finding {
	e := v.makers[0]
	family := map[bool]string{true: "IPv4", false: "IPv6"}
	f := Finding{
		Rule: rule.OtherFamily, Severity: Info, Confidence: track.Certain,
		Title: fmt.Sprintf(
			"no endpoint has the address family of the connection (%s)", family[plain(c.Remote.Addr()).Is4()],
		),
		Subject: Subject{Remote: c.Remote},
		Evidence: []string{
			fmt.Sprintf("connection %s to %s", c.Token, c.Remote),
			fmt.Sprintf("endpoint %s is %s, like all others", e.Address, family[e.Address.Unmap().Is4()]),
		},
		Fix: []string{"mptcpctl paths to " + c.Remote.Addr().String() + "   (addresses of the same family to add)"},
		Excluded: excluding("the kernel compares the families before it tries an endpoint",
			append(rule.Joins(), rule.SubflowLimit)...),
	}
	for _, a := range v.paths(c.Remote.Addr()) {
		if v.ground.LinkOf(&mptcp.Subflow{Local: c.Local}) != a.IfIndex {
			f.Severity = Warn
			f.Fix = []string{
				fmt.Sprintf("mptcpctl endpoint add %s dev %s subflow", a.Addr, shell.Word(v.device(a.IfIndex))),
			}
			break
		}
	}
	return f
}

// unheard is D09: an announced address that no listener covers.
func unheard(v *view) []Finding {
	if v.Listeners == nil || !v.serves() {
		return nil
	}
	var found []Finding
	for _, e := range v.Endpoints {
		if !e.Flags.Has(mptcp.FlagSignal) || e.Flags&mptcp.FlagImplicit != 0 {
			continue
		}
		if e.Port != 0 && v.blind {
			continue // the kernel's own listener is a TCP socket like another
		}
		where, uncovered := v.uncovered(e)
		if !uncovered {
			continue
		}
		found = append(found, Finding{
			Rule: rule.AnnouncedWithoutListener, Severity: Fail, Confidence: track.Certain,
			Title:   fmt.Sprintf("address %s is announced to peers, but no program listens on it", e.Address),
			Subject: v.onEndpoint(e),
			Evidence: []string{
				fmt.Sprintf("endpoint id %d: %s", e.ID, e.Flags), where,
			},
			Fix: v.hearingFix(e),
			Excluded: excluding("the kernel lists all MPTCP listeners, its own too, and none is there",
				rule.SubflowLimit, rule.JoinRefused),
		})
	}
	return found
}

// uncovered tells where peers that follow the announcement find nobody.
func (v *view) uncovered(e mptcp.Endpoint) (string, bool) {
	if e.Port != 0 {
		return fmt.Sprintf(
			"no MPTCP listener on %s port %d", e.Address, e.Port,
		), !listens(v.Listeners, e.Address, e.Port)
	}
	if !listens(v.Listeners, e.Address, 0) {
		return fmt.Sprintf("no MPTCP listener on %s or the wildcard address", e.Address), true
	}
	for _, c := range v.servers {
		if sameFamily(c.Local.Addr(), e.Address) && listens(v.Listeners, c.Local.Addr(), c.Local.Port()) &&
			!listens(v.Listeners, e.Address, c.Local.Port()) {
			return fmt.Sprintf(
				"connection %s uses port %d, and no program listens on that port at %s", c.Token, c.Local.Port(),
				e.Address,
			), true
		}
	}
	return "", false
}

// clientSignals is D10: a host that only connects announces its addresses.
func clientSignals(v *view) []Finding {
	if v.Listeners == nil || v.serves() || len(v.servers) > 0 || len(v.clients) == 0 {
		return nil
	}
	var found []Finding
	for _, e := range v.Endpoints {
		if !e.Flags.Has(mptcp.FlagSignal) || e.Port != 0 || e.Flags&mptcp.FlagImplicit != 0 {
			continue
		}
		f := Finding{
			Rule: rule.ClientSignals, Severity: Warn, Confidence: track.Likely,
			Title:   fmt.Sprintf("endpoint %s is announced, but this host is a client and does not listen", e.Address),
			Subject: v.onEndpoint(e),
			Evidence: []string{
				fmt.Sprintf("endpoint id %d: %s", e.ID, e.Flags),
				"this host has no MPTCP listener, so it refuses subflows that the peer creates",
			},
			Fix: []string{command.DeleteEndpoint(e) + " && " + addWithSubflow(v, e)},
		}
		if e.Flags.CreatesSubflows() {
			f.Severity = Info
		}
		found = append(found, f)
	}
	return found
}

// droppedAnnouncement is D44: an announcement does not fit into the TCP options.
func droppedAnnouncement(v *view) []Finding {
	dropped := v.total("AddAddrTxDrop")
	if dropped == 0 {
		return nil
	}
	var found []Finding
	for _, e := range v.Endpoints {
		if e.Flags.Has(mptcp.FlagSignal) && e.Port != 0 && !e.Address.Unmap().Is4() {
			found = append(found, Finding{
				Rule: rule.AnnouncementTooLong, Severity: Fail, Confidence: track.Likely,
				Title: fmt.Sprintf(
					"%s port %d is never announced: it does not fit into the TCP options with timestamps",
					e.Address, e.Port,
				),
				Subject: v.onEndpoint(e),
				Evidence: []string{
					fmt.Sprintf("AddAddrTxDrop: %d since the namespace was created", dropped),
					"an IPv6 address with a port and timestamps need more than 40 bytes of options",
				},
				Fix: []string{
					command.DeleteEndpoint(e) + " && " + command.AddEndpoint(e, "signal") + "   (without a port)",
					"sysctl -w net.ipv4.tcp_timestamps=0   (or this)",
				},
			})
		}
	}
	return found
}
