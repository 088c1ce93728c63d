package cli

import (
	"context"
	"os"
	"strconv"

	"mptcpctl/hostnet"
	"mptcpctl/internal/device"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/sockdiag"
)

// values returns the values of a kind that this host has. What cannot be read is
// left out: a shell that waits for words has no use for errors.
func (a *app) values(ctx context.Context, kind grammar.Kind) []grammar.Candidate {
	switch kind {
	case grammar.Device:
		return deviceCandidates(ctx)
	case grammar.Netns:
		return folderCandidates(netnsDir, "network namespace")
	case grammar.ID:
		return a.idCandidates(ctx)
	case grammar.Address:
		return addressCandidates(ctx)
	case grammar.Token:
		return tokenCandidates(ctx)
	}
	return nil
}

// folderCandidates returns the names in a folder.
func folderCandidates(folder, summary string) []grammar.Candidate {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var names []grammar.Candidate
	for _, e := range entries {
		names = append(names, grammar.Candidate{Word: present.Escape(e.Name()), Summary: summary})
	}
	return names
}

// idCandidates returns the ids of the endpoints.
func (a *app) idCandidates(ctx context.Context) []grammar.Candidate {
	pm, err := a.pathManager()
	if err != nil {
		return nil
	}
	all, err := allEndpoints(ctx, pm)
	if err != nil {
		return nil
	}
	var ids []grammar.Candidate
	for _, e := range all {
		ids = append(
			ids,
			grammar.Candidate{Word: strconv.Itoa(int(e.ID)), Summary: e.Address.String() + " " + e.Flags.String()},
		)
	}
	return ids
}

func deviceCandidates(ctx context.Context) []grammar.Candidate {
	network, err := hostnet.New(nil)
	if err != nil {
		return nil
	}
	defer network.Close()
	links, err := network.Links(ctx)
	if err != nil {
		return nil
	}
	var devices []grammar.Candidate
	for i := range links {
		devices = append(devices, grammar.Candidate{Word: present.Escape(links[i].Name), Summary: "device"})
	}
	return devices
}

// addressCandidates returns the addresses of this host that an endpoint can use.
func addressCandidates(ctx context.Context) []grammar.Candidate {
	network, err := hostnet.New(nil)
	if err != nil {
		return nil
	}
	defer network.Close()
	addresses, err := network.Addresses(ctx)
	if err != nil {
		return nil
	}
	var usable []grammar.Candidate
	for i := range addresses {
		if a := &addresses[i]; !a.Addr.IsLoopback() {
			usable = append(usable, grammar.Candidate{Word: a.Addr.String(), Summary: device.Name(int32(a.IfIndex))})
		}
	}
	return usable
}

// tokenCandidates returns the tokens of the connections.
func tokenCandidates(ctx context.Context) []grammar.Candidate {
	diag, err := sockdiag.Dial(nil)
	if err != nil {
		return nil
	}
	defer diag.Close()
	var tokens []grammar.Candidate
	for c, err := range diag.Connections(ctx, nil) {
		if err != nil {
			return tokens
		}
		if c.Info.Token != 0 {
			tokens = append(
				tokens,
				grammar.Candidate{Word: c.Info.Token.String(), Summary: c.Local.String() + " - " + c.Remote.String()},
			)
		}
	}
	return tokens
}
