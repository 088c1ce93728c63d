package line

import (
	"context"
	"errors"

	"mptcpctl/doctor"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/mptcp"
)

// Facts gathers the facts of the network namespaces that the options mean, and
// returns the recording that they are of, nil for none.
func Facts(
	ctx context.Context, inv *grammar.Invocation, c *gather.Config,
) (facts []doctor.Facts, of *recording.Recording, err error) {
	if name, given := inv.Value("from"); given {
		facts, err = factsOfBundle(name, c)
		return facts, nil, err
	}
	if name := inv.Options.Replay; name != "" && bundle.Is(name) {
		facts, err = factsOfBundle(name, c)
		return facts, nil, err
	}
	from, err := Open(ctx, inv)
	if errors.Is(err, mptcp.ErrNotSupported) {
		return []doctor.Facts{live.KernelFacts()}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer from.Close()
	of, _ = from.(*recording.Recording)
	facts, err = gather.All(ctx, from.Views(), c)
	return facts, of, err
}

// factsOfBundle reads the facts of a bundle and narrows them.
func factsOfBundle(name string, c *gather.Config) ([]doctor.Facts, error) {
	facts, err := bundle.ReadFacts(name)
	if err != nil {
		return nil, err
	}
	for i := range facts {
		c.Narrow(&facts[i])
	}
	return facts, nil
}
