package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"mptcpctl/internal/web"
)

// DefaultListen is where the server listens: on loopback, for this host alone.
const DefaultListen = "127.0.0.1:9099"

// Options is where the server listens and who may read.
type Options struct {
	Address netip.AddrPort
	Token   []byte
	TLS     *tls.Config // nil: plain
	Names   []string    // host names that clients call it by, beside its addresses
}

// Files are the names of the files with the secrets, "" for none.
type Files struct{ Token, Certificate, Key, ClientCA string }

// ParseAddress reads ADDR:PORT. Without an address it is all of them.
func ParseAddress(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	switch {
	case err != nil:
		return netip.AddrPort{}, fmt.Errorf("%q: want an address and a port, such as %s", s, DefaultListen)
	case host == "":
		host = "::"
	case host == "localhost":
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddrPort(net.JoinHostPort(host, port))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q: want an address and a port, such as %s", s, DefaultListen)
	}
	return a, nil
}

// Read reads the files with the secrets. It is an error if others could then read what
// the server shows.
func (o *Options) Read(f Files) error {
	for i, name := range o.Names {
		o.Names[i] = strings.ToLower(strings.TrimSuffix(name, "."))
	}
	if err := o.readSecrets(f); err != nil {
		return err
	}
	clientCertificates := o.TLS != nil && o.TLS.ClientCAs != nil
	if err := web.CheckExposure(o.Address.Addr(), o.Token, clientCertificates); err != nil {
		return fmt.Errorf("refused to listen on %v: %w", o.Address, err)
	}
	return nil
}

// readSecrets reads the files with the token, the certificate and the authorities.
func (o *Options) readSecrets(f Files) error {
	if f.Token != "" {
		text, err := os.ReadFile(f.Token)
		if err != nil {
			return err
		}
		if o.Token = bytes.TrimSpace(text); len(o.Token) == 0 {
			return fmt.Errorf("%s: the token is empty", f.Token)
		}
	}
	switch {
	case (f.Certificate != "") != (f.Key != ""):
		return errors.New("--tls-cert and --tls-key need each other")
	case f.ClientCA != "" && f.Certificate == "":
		return errors.New("--client-ca needs --tls-cert and --tls-key")
	case f.Certificate == "":
		return nil
	}
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return err
	}
	o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	if f.ClientCA == "" {
		return nil
	}
	text, err := os.ReadFile(f.ClientCA)
	if err != nil {
		return err
	}
	o.TLS.ClientCAs = x509.NewCertPool()
	if !o.TLS.ClientCAs.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: there is no certificate in it", f.ClientCA)
	}
	o.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	return nil
}

// open opens the listener, on plain TCP: the server must not be among what it
// shows.
func (o *Options) open(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, "tcp", o.Address.String())
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		l = tls.NewListener(l, o.TLS)
	}
	return l, nil
}
