package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
)

// certificates are the server's certificate and the authorities of its clients. They are
// read anew when their files change: a renewed certificate needs no restart.
type certificates struct {
	files Files
	log   *slog.Logger // nil: silence

	mu      sync.Mutex
	watch   watch
	current *tls.Config
}

// newCertificates reads the files.
func newCertificates(f Files) (*certificates, error) {
	c := &certificates{files: f, watch: newWatch(f.Certificate, f.Key, f.ClientCA)}
	var err error
	c.current, err = c.read()
	return c, err
}

// config returns the configuration for a listener.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.get(), nil },
	}
}

// get returns what holds now. What cannot be read leaves in force what was read before.
func (c *certificates) get() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.watch.changed() {
		return c.current
	}
	next, err := c.read()
	if err != nil {
		if c.watch.refuse() && c.log != nil {
			c.log.Warn("the certificates that changed cannot be read: those before stay in force", "error", err)
		}
		return c.current
	}
	c.current = next
	c.watch.accept()
	if c.log != nil {
		c.log.Info("certificates were read anew", "certificate", c.files.Certificate)
	}
	return c.current
}

// read reads the files.
func (c *certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	if c.files.ClientCA == "" {
		return config, nil
	}
	text, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, err
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: there is no certificate in it", c.files.ClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}
