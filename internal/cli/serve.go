package cli

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/kernel"
	"mptcpctl/internal/process"
	"mptcpctl/internal/serve"
)

func (a *app) serveCommand() grammar.Command {
	return grammar.Command{
		Name:      "serve",
		Summary:   "serve a web page, a JSON API and metrics of the live state",
		Synopsis:  []string{"[ --listen ADDR:PORT ] [ --token-file FILE ] [ --tls-cert FILE --tls-key FILE ] [ --client-ca FILE ]"},
		Help:      serveHelp,
		Privilege: "none; CAP_NET_ADMIN in the network namespace for events, dropped after the start",
		Flags: []grammar.Flag{
			{Name: "listen", Value: grammar.Host, Metavar: "ADDR:PORT", Summary: "where to listen (default " + serve.DefaultListen + ")"},
			{Name: "token-file", Value: grammar.File, Metavar: "FILE", Summary: "the file with the token that clients must show, at least 16 characters"},
			{Name: "tls-cert", Value: grammar.File, Metavar: "FILE", Summary: "the TLS certificate with its chain, PEM"},
			{Name: "tls-key", Value: grammar.File, Metavar: "FILE", Summary: "the key of the certificate, PEM"},
			{Name: "client-ca", Value: grammar.File, Metavar: "FILE", Summary: "accept only clients with a certificate of these authorities, PEM"},
			{Name: "name", Value: grammar.Host, Metavar: "NAME", Summary: "a host name that clients use for this server, in addition to its addresses; may be repeated"},
			{Name: "log-level", Value: grammar.Word, Metavar: "LEVEL", Choices: []string{"debug", "info", "warn", "error"}, Summary: "debug, info (default), warn or error"},
		},
		Examples: []grammar.Example{
			{Line: "serve", Meaning: "the page at http://" + serve.DefaultListen + "/"},
			{Line: "--replay trouble.pcapng serve", Meaning: "the page of a recording"},
			{Line: "serve --listen 192.0.2.1:9099 --token-file /etc/mptcpctl/token --tls-cert cert.pem --tls-key key.pem", Meaning: "for other hosts, with a token over TLS"},
		},
		Run: a.serve,
	}
}

func (a *app) serve(ctx context.Context, inv *grammar.Invocation) error {
	o, err := serveOptions(inv)
	if err != nil {
		return err
	}
	var level slog.Level
	if name, ok := inv.Value("log-level"); ok && level.UnmarshalText([]byte(name)) != nil {
		return inv.Usage(fmt.Sprintf("--log-level %q: want debug, info, warn or error", name))
	}
	log := slog.New(slog.NewTextHandler(inv.Stderr, &slog.HandlerOptions{Level: level}))
	process.LimitMemory()
	err = serve.Run(ctx, &serve.Config{
		Options: *o, Log: log, Version: moduleVersion(),
		Open: func(ctx context.Context) (*serve.Source, error) { return openServed(ctx, inv, log) },
	})
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
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
		recording, err := openRecording(inv)
		if err != nil {
			return nil, err
		}
		return serve.OfRecording(recording, filepath.Base(inv.Options.Replay)), nil
	case inv.Options.AllNetns:
		return serve.OpenAll(ctx, log)
	}
	return serve.Open(ctx, inv.Options.Netns, kernel.Release())
}
