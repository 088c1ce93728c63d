package apply

import (
	"context"
	"errors"

	"mptcpctl/hostnet"
	"mptcpctl/internal/policy"
)

// hostReader reads what a policy needs to know of the host.
type hostReader struct {
	reader *hostnet.Reader
}

func newHostReader() (*hostReader, error) {
	reader, err := hostnet.New(nil)
	if err != nil {
		return nil, err
	}
	return &hostReader{reader}, nil
}

func (h *hostReader) close() { h.reader.Close() }

// read returns the links and addresses.
func (h *hostReader) read(ctx context.Context) (*policy.Host, error) {
	links, err := h.reader.Links(ctx)
	addresses, err2 := h.reader.Addresses(ctx)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	host := &policy.Host{Links: make(map[string]int32, len(links))}
	byIndex := make(map[int]hostnet.Link, len(links))
	for _, l := range links {
		host.Links[l.Name] = int32(l.Index)
		byIndex[l.Index] = l
	}
	for _, a := range addresses {
		link := byIndex[a.IfIndex]
		host.Addresses = append(host.Addresses, policy.Address{
			Addr: a.Addr.Unmap().WithZone(""), Link: link.Name, IfIndex: int32(a.IfIndex),
			Present: !a.Tentative && !a.DADFailed,
			Lasting: link.Usable() && !link.Loopback && a.Scope == "global" && !a.Tentative && !a.DADFailed &&
				!a.Deprecated &&
				!a.Temporary,
		})
	}
	return host, nil
}
