package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"mptcpctl/internal/grammar"
	"mptcpctl/internal/web"
)

// serveOptions is what the command line of serve says.
type serveOptions struct {
	address netip.AddrPort
	token   []byte
	tls     *tls.Config // nil: plain
	names   []string
	level   slog.Level
}

func readServeOptions(inv *grammar.Invocation) (*serveOptions, error) {
	if len(inv.Args) > 0 {
		return nil, inv.Usage("takes no arguments")
	}
	o := &serveOptions{}
	for _, name := range inv.Values("name") {
		o.names = append(o.names, strings.ToLower(strings.TrimSuffix(name, ".")))
	}
	if level, ok := inv.Value("log-level"); ok && o.level.UnmarshalText([]byte(level)) != nil {
		return nil, inv.Usage(fmt.Sprintf("--log-level %q: want debug, info, warn or error", level))
	}
	listen, ok := inv.Value("listen")
	if !ok {
		listen = defaultListen
	}
	var err error
	if o.address, err = listenAddress(listen); err != nil {
		return nil, inv.Usage(err.Error())
	}
	if err := o.readSecrets(inv); err != nil {
		return nil, fmt.Errorf("serve: %w", err)
	}
	clientCertificates := o.tls != nil && o.tls.ClientCAs != nil
	if err := web.CheckExposure(o.address.Addr(), o.token, clientCertificates); err != nil {
		return nil, fmt.Errorf("serve: refused to listen on %v: %w", o.address, err)
	}
	return o, nil
}

// listenAddress reads ADDR:PORT. Without an address it is all of them.
func listenAddress(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("--listen %q: want an address and a port, such as %s", s, defaultListen)
	case host == "":
		host = "::"
	case host == "localhost":
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--listen %q: want an address and a port, such as %s", s, defaultListen)
	}
	return a, nil
}

// readSecrets reads the files with the token, the certificate and the authorities.
func (o *serveOptions) readSecrets(inv *grammar.Invocation) error {
	if name, ok := inv.Value("token-file"); ok {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if o.token = bytes.TrimSpace(text); len(o.token) == 0 {
			return fmt.Errorf("%s: the token is empty", name)
		}
	}
	cert, hasCert := inv.Value("tls-cert")
	key, hasKey := inv.Value("tls-key")
	ca, hasCA := inv.Value("client-ca")
	switch {
	case hasCert != hasKey:
		return errors.New("--tls-cert and --tls-key come together")
	case hasCA && !hasCert:
		return errors.New("--client-ca needs --tls-cert and --tls-key")
	case !hasCert:
		return nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	o.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if !hasCA {
		return nil
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		return err
	}
	o.tls.ClientCAs = x509.NewCertPool()
	if !o.tls.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: there is no certificate in it", ca)
	}
	o.tls.ClientAuth = tls.RequireAndVerifyClientCert
	return nil
}

// open opens the listener, on plain TCP: the server must not be among what it
// shows.
func (o *serveOptions) open(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", o.address.String())
	if err != nil {
		return nil, err
	}
	if o.tls != nil {
		l = tls.NewListener(l, o.tls)
	}
	return l, nil
}
