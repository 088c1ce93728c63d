// Package features asks the running kernel what it can do with MPTCP, and changes nothing.
package features

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"mptcpctl/counters"
	"mptcpctl/internal/force"
	"mptcpctl/internal/thread"
	"mptcpctl/internal/uapi"
	"mptcpctl/mptcp"
	"mptcpctl/pathmanager"
	"mptcpctl/sockdiag"

	"golang.org/x/sys/unix"
)

// Features are what the running kernel can do with MPTCP. A nil field was not to be
// found out.
type Features struct {
	MPTCP       string   `json:"mptcp"` // "on", "off" (net.mptcp.enabled=0), "absent", or an error
	Commands    []string `json:"path_manager_commands"`
	Events      bool     `json:"events"`               // since Linux 5.12
	UserspacePM *bool    `json:"userspace_pm"`         // 5.19
	Laminar     *bool    `json:"laminar"`              // endpoints, 6.18
	TCPIsMPTCP  *bool    `json:"tcp_is_mptcp"`         // the socket option
	Diag        bool     `json:"diag"`                 // connections through inet_diag, 5.9
	Run         string   `json:"run"`                  // "yes", or what `run` lacks
	Schedulers  []string `json:"schedulers,omitempty"` // 6.6
	Counters    int      `json:"counters"`             // how many MPTCP counters there are
}

// Read asks the kernel, and changes nothing.
func Read(ctx context.Context) *Features {
	f := &Features{MPTCP: mptcpState(), Commands: []string{}, Run: "yes"}
	if pm, err := pathmanager.Dial(nil); err == nil {
		defer pm.Close()
		f.Events = pm.Family().Events != 0
		if commands, err := pm.Commands(ctx); err == nil {
			for _, c := range commands {
				f.Commands = append(f.Commands, c.String())
			}
		}
	}
	reader := counters.New("")
	if settings, err := reader.Sysctls(); err == nil {
		f.UserspacePM = new(settings.PMType != nil || slices.Contains(settings.AvailablePathManagers, "userspace"))
		f.Schedulers = settings.AvailableSchedulers
	}
	if values, err := reader.MPTCP(); err == nil {
		f.Counters = len(values.Names())
	}
	if diag, err := sockdiag.Dial(nil); err == nil {
		defer diag.Close()
		f.Diag = true
		for _, err := range diag.Listeners(ctx) {
			f.Diag = err == nil
		}
	}
	f.Laminar, f.TCPIsMPTCP = probeLaminar(ctx), probeTCPIsMPTCP()
	if err := force.Check(); err != nil {
		f.Run = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return f
}

// mptcpState opens an MPTCP socket.
func mptcpState() string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	switch {
	case err == nil:
		unix.Close(fd)
		return "on"
	case errors.Is(err, unix.ENOPROTOOPT):
		return "off"
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EINVAL):
		return "absent"
	}
	return err.Error()
}

// probeLaminar adds a laminar endpoint in a network namespace that ends with the
// probe: the kernel drops flags that it does not know. nil where that is not
// allowed.
func probeLaminar(ctx context.Context) *bool {
	var laminar *bool
	_ = thread.Run(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		pm, err := pathmanager.Dial(nil)
		if err != nil {
			return err
		}
		defer pm.Close()
		e := mptcp.Endpoint{
			ID:      1,
			Address: netip.MustParseAddr("192.0.2.1"),
			Flags:   mptcp.FlagSubflow | mptcp.FlagLaminar,
		}
		if err := pm.AddEndpoint(ctx, e); err != nil {
			return err
		}
		got, err := pm.Endpoint(ctx, e.ID)
		if err == nil {
			laminar = new(got.Flags.Has(mptcp.FlagLaminar))
		}
		return err
	})
	return laminar
}

// probeTCPIsMPTCP asks a TCP socket whether it is one of MPTCP.
func probeTCPIsMPTCP() *bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.IPPROTO_TCP, uapi.TCPIsMPTCP)
	return new(err == nil)
}

// Write prints the features, one a line.
func (f *Features) Write(w io.Writer) error {
	yes := func(b *bool) string {
		switch {
		case b == nil:
			return "not known"
		case *b:
			return "yes"
		}
		return "no"
	}
	_, err := fmt.Fprintf(w, `MPTCP                 %s
path manager          %d commands: %s
events                %s
userspace PM          %s
laminar endpoints     %s
TCP_IS_MPTCP          %s
connections (diag)    %s
counters              %d
schedulers            %s
run                   %s
`, f.MPTCP, len(f.Commands), strings.Join(f.Commands, " "), yes(&f.Events), yes(f.UserspacePM), yes(f.Laminar),
		yes(f.TCPIsMPTCP), yes(&f.Diag), f.Counters, strings.Join(f.Schedulers, " "), f.Run)
	return err
}
