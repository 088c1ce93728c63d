package peer

import (
	"context"
	"fmt"
	"path/filepath"

	"mptcpctl/doctor/bothends"
	"mptcpctl/internal/bundle"
	"mptcpctl/internal/source/gather"
	"mptcpctl/internal/source/recording"
)

// file is a bundle or a recording that was taken on the host.
type file string

func (name file) ask(ctx context.Context, _ *Config, ready func()) (h bothends.Host, err error) {
	ready()
	h.Name = filepath.Base(string(name))
	if bundle.Is(string(name)) {
		h.Facts, err = bundle.ReadFacts(string(name))
	} else {
		var r *recording.Recording
		if r, err = recording.Open(string(name)); err == nil {
			defer r.Close()
			h.Facts, err = gather.All(ctx, r.Views(), nil)
		}
	}
	if err == nil && len(h.Facts) == 0 {
		err = fmt.Errorf("%s has no facts", name)
	}
	return h, err
}
