package whole

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"mptcpctl/internal/chronicle"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/mptcp"
)

// change is one difference between two moments.
type change struct {
	What  string `json:"what"` // "endpoint", "limits", …
	Netns string `json:"netns,omitempty"`
	Now   bool   `json:"now"` // it is there at the second moment, and was not at the first; false: the other way round
	Text  string `json:"text"`
}

// HistoryDiff says what changed between two moments.
func HistoryDiff(ctx context.Context, inv *grammar.Invocation) error {
	if len(inv.Args) != 2 {
		return inv.Usage("want two times, such as yesterday-14:00 now")
	}
	r, err := openPast(inv)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer r.Close()
	var moments [2]*chronicle.Moment
	var times [2]time.Time
	for i, text := range inv.Args {
		if times[i], err = when(inv, "time", text); err != nil {
			return err
		}
	}
	for i, at := range times {
		if moments[i], err = momentAt(ctx, inv, r, at); err != nil {
			return fmt.Errorf("history: %w", err)
		}
	}
	changes := differences(moments[0], moments[1])
	if inv.Options.JSON {
		return present.JSON(inv.Stdout, struct {
			From    time.Time `json:"from"`
			To      time.Time `json:"to"`
			Changes []change  `json:"changes"`
		}{times[0].UTC(), times[1].UTC(), changes}, inv.Options.Pretty)
	}
	count := present.Count(len(changes), "difference")
	b := fmt.Appendf(nil, "from %s to %s: %s\n", stamp(times[0]), stamp(times[1]), count)
	for i := range changes {
		b = changes[i].append(b)
	}
	_, err = inv.Stdout.Write(b)
	return err
}

func (c *change) append(b []byte) []byte {
	sign := "-"
	if c.Now {
		sign = "+"
	}
	b = fmt.Appendf(b, "%s %s %s", sign, c.What, present.Escape(c.Text))
	if c.Netns != "" {
		b = fmt.Appendf(b, " netns %s", present.Escape(c.Netns))
	}
	return append(b, '\n')
}

// differences compares two moments.
func differences(before, after *chronicle.Moment) []change {
	changes := []change{}
	olds, news := byNetns(before), byNetns(after)
	for _, netns := range slices.Sorted(maps.Keys(union(olds, news))) {
		changes = append(changes, hostChanges(olds[netns], news[netns])...)
	}
	changes = appendChanges(changes, "finding", "", findingsOf(before), findingsOf(after))
	return append(changes, connectionChanges(before, after)...)
}

// hostChanges compares what was set in a network namespace; nil is one that is not there.
func hostChanges(before, after *chronicle.Host) (changes []change) {
	netns := ""
	for _, h := range []*chronicle.Host{before, after} {
		if h != nil {
			netns = h.Netns
		}
	}
	a, b := settingsOf(before), settingsOf(after)
	for _, what := range settings {
		changes = appendChanges(changes, what, netns, a[what], b[what])
	}
	return changes
}

// appendChanges appends what is in one list of texts and not in the other.
func appendChanges(changes []change, what, netns string, old, now []string) []change {
	for _, text := range old {
		if !slices.Contains(now, text) {
			changes = append(changes, change{what, netns, false, text})
		}
	}
	for _, text := range now {
		if !slices.Contains(old, text) {
			changes = append(changes, change{what, netns, true, text})
		}
	}
	return changes
}

func byNetns(m *chronicle.Moment) map[string]*chronicle.Host {
	list := map[string]*chronicle.Host{}
	for _, h := range m.Hosts() {
		list[h.Netns] = h
	}
	return list
}

func union(a, b map[string]*chronicle.Host) map[string]*chronicle.Host {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// settings are what is compared of a network namespace, in this order.
var settings = [...]string{"path manager", "limits", "endpoint", "link", "address", "listener"}

// settingsOf writes what is set as texts that are the same where it is.
func settingsOf(h *chronicle.Host) map[string][]string {
	list := map[string][]string{}
	if h == nil {
		return list
	}
	add := func(what, text string) { list[what] = append(list[what], strings.TrimSpace(text)) }
	add("path manager", h.PathManager)
	add("limits", fmt.Sprintf("add_addr_accepted %d subflows %d", h.Limits.AddAddrAccepted, h.Limits.Subflows))
	for i := range h.Endpoints {
		var names []string
		e := endpointOf(&h.Endpoints[i], &names)
		text := present.EndpointText{Device: func(index int32) string { return names[index-1] }}
		add("endpoint", string(text.Append(nil, &e)))
	}
	links := map[uint32]string{}
	for _, l := range h.Links {
		links[l.Index] = l.Name
		state := "up"
		switch {
		case !l.Up:
			state = "down"
		case !l.Carrier:
			state = "up without carrier"
		}
		add("link", l.Name+" "+state)
	}
	for _, a := range h.Addresses {
		add("address", a.Address.String()+" dev "+links[a.Link])
	}
	for _, l := range h.Listeners {
		add("listener", l)
	}
	return list
}

func findingsOf(m *chronicle.Moment) (list []string) {
	for _, object := range m.Findings() {
		f, err := chronicle.ParseFinding(object)
		var about struct {
			Subject json.RawMessage `json:"subject"`
		}
		if err == nil && json.Unmarshal(object, &about) == nil {
			text := strings.Join([]string{f.Rule, f.Severity, f.Title}, " ")
			if subject := string(about.Subject); subject != "{}" {
				text += " " + subject
			}
			list = append(list, text)
		}
	}
	return list
}

// connectionChanges returns which connections are gone, and which are new.
func connectionChanges(before, after *chronicle.Moment) (changes []change) {
	for i, pair := range [2][2]*chronicle.Moment{{before, after}, {after, before}} {
		others := map[mptcp.Token][]mptcp.Connection{}
		for _, c := range pair[1].Connections() {
			others[c.Token] = append(others[c.Token], c)
		}
		for _, c := range pair[0].Connections() {
			same := func(other mptcp.Connection) bool { return chronicle.Same(&c, &other) }
			if slices.ContainsFunc(others[c.Token], same) {
				continue
			}
			text := fmt.Sprintf("%s %v -> %v", c.Token, c.Local, c.Remote)
			if c.Side.String() != "unknown" {
				text = fmt.Sprintf("%s %v %v -> %v", c.Token, c.Side, c.Local, c.Remote)
			}
			changes = append(changes, change{"connection", c.Netns, i == 1, text})
		}
	}
	return changes
}
