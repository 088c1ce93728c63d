package whole

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"mptcpctl/internal/cli/line"
	"mptcpctl/internal/confine"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/process"
	"mptcpctl/internal/serve"
)

// Serve runs the service until ctx ends. The version is the program's.
func Serve(ctx context.Context, inv *grammar.Invocation, version string) error {
	o, err := serveOptions(inv)
	if err != nil {
		return err
	}
	var level slog.Level
	if name, ok := inv.Value("log-level"); ok && level.UnmarshalText([]byte(name)) != nil {
		return inv.Usage(fmt.Sprintf("--log-level %q: want debug, info, warn or error", name))
	}
	log := slog.New(slog.NewTextHandler(inv.Stderr, &slog.HandlerOptions{Level: level}))
	id, err := servedAs(inv)
	if err != nil {
		return err
	}
	kept, err := keptHistory(inv)
	if err != nil {
		return err
	}
	process.LimitMemory()
	err = serve.Run(ctx, &serve.Config{
		Options: *o, Log: log, Version: version, Identity: id, History: kept,
		Open: func(ctx context.Context) (*serve.Source, error) { return openServed(ctx, inv, log) },
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// servedAs returns the user that the server is to become, nil where none was named.
func servedAs(inv *grammar.Invocation) (*confine.Identity, error) {
	name, ok := inv.Value("user")
	if !ok {
		return nil, nil
	}
	if os.Geteuid() != 0 {
		return nil, inv.Usage("--user: only a server that is started as root can become another user")
	}
	id, err := confine.Lookup(name)
	if err != nil {
		return nil, inv.Usage("--user: " + err.Error())
	}
	return id, nil
}

// serveOptions reads the flags that say where the server listens and who may read.
func serveOptions(inv *grammar.Invocation) (*serve.Options, error) {
	if len(inv.Args) > 0 {
		return nil, inv.Usage("takes no arguments")
	}
	o := &serve.Options{Names: inv.Values("name")}
	listen, ok := inv.Value("listen")
	if !ok {
		listen = serve.DefaultListen
	}
	var err error
	if o.Address, err = serve.ParseAddress(listen); err != nil {
		return nil, inv.Usage("--listen " + err.Error())
	}
	var files serve.Files
	for flag, file := range map[string]*string{
		"token-file": &files.Token, "tls-cert": &files.Certificate, "tls-key": &files.Key, "client-ca": &files.ClientCA,
	} {
		name, given := inv.Value(flag)
		if given && name == "" {
			return nil, inv.Usage("--" + flag + ": the file's name is missing")
		}
		*file = name
	}
	if err := o.Read(files); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	return o, nil
}

// openServed opens what the options mean, with all that needs a privilege. Its streams
// end with ctx.
func openServed(ctx context.Context, inv *grammar.Invocation, log *slog.Logger) (*serve.Source, error) {
	switch {
	case inv.Options.Replay != "":
		recording, err := line.Recording(inv)
		if err != nil {
			return nil, err
		}
		return serve.OfRecording(recording, filepath.Base(inv.Options.Replay)), nil
	case inv.Options.AllNetns:
		return serve.OpenAll(ctx, log)
	}
	return serve.Open(ctx, inv.Options.Netns, kernel.Release())
}
