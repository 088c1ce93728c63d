package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"mptcpctl/internal/features"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/present"
)

func versionCommand() grammar.Command {
	return grammar.Command{
		Name:      "version",
		Summary:   "print the versions of the program, Go and the kernel, and the kernel's MPTCP features",
		Synopsis:  []string{""},
		Help:      versionHelp,
		Privilege: "none",
		Examples: []grammar.Example{
			{Line: "version", Meaning: "the versions of this program and of the running kernel"},
		},
		Run: func(ctx context.Context, inv *grammar.Invocation) error {
			if len(inv.Args) > 0 {
				return inv.Usage("takes no arguments")
			}
			v := readVersion()
			v.Features = features.Read(ctx)
			if inv.Options.JSON {
				return present.JSON(inv.Stdout, v, inv.Options.Pretty)
			}
			if err := writeVersion(inv.Stdout, &inv.Options); err != nil {
				return err
			}
			return v.Features.Write(inv.Stdout)
		},
	}
}

// version is what the program knows about itself and its host.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`

	Features *features.Features `json:"features,omitempty"`
}

func readVersion() *version {
	v := &version{
		Version: moduleVersion(),
		Go:      runtime.Version(),
		Arch:    runtime.GOARCH,
		Kernel:  cmp.Or(kernel.Release(), "(unknown)"),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

// writeVersion writes the versions, as -V does: one line.
func writeVersion(w io.Writer, o *grammar.Options) error {
	v := readVersion()
	if o.JSON {
		return present.JSON(w, v, o.Pretty)
	}
	_, err := fmt.Fprintf(w, "mptcpctl %s, %s %s, Linux %s\n", v.Version, v.Go, v.Arch, v.Kernel)
	return err
}

// moduleVersion returns the version of the module that the program was built from.
func moduleVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
