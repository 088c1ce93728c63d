package serve

import (
	"context"
	"crypto/tls"
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
	Names   []string // host names that clients call it by, beside its addresses

	token        *token        // nil: none is asked for
	certificates *certificates // nil: plain
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
	clientCertificates := o.certificates != nil && f.ClientCA != ""
	if err := web.CheckExposure(o.Address.Addr(), o.token != nil, clientCertificates); err != nil {
		return fmt.Errorf("refused to listen on %v: %w", o.Address, err)
	}
	return nil
}

// readSecrets reads the files with the token, the certificate and the authorities.
func (o *Options) readSecrets(f Files) error {
	if f.Token != "" {
		var err error
		if o.token, err = newToken(f.Token); err != nil {
			return err
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
	var err error
	o.certificates, err = newCertificates(f)
	return err
}

// warnings returns what an administrator should know of the way in.
func (o *Options) warnings() (texts []string) {
	if o.token == nil {
		return nil
	}
	if info, err := os.Stat(o.token.file); err == nil && info.Mode().Perm()&0o077 != 0 {
		texts = append(
			texts,
			fmt.Sprintf("others may read the token: %s has mode %04o, want 0600", o.token.file, info.Mode().Perm()),
		)
	}
	if o.certificates == nil && !o.Address.Addr().IsLoopback() {
		texts = append(
			texts,
			"the token crosses the network unencrypted: add --tls-cert and --tls-key, or listen on 127.0.0.1 "+
				"behind a proxy",
		)
	}
	return texts
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
	if o.certificates != nil {
		l = tls.NewListener(l, o.certificates.config())
	}
	return l, nil
}
