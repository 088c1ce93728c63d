package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificatesPause is how often the files are looked at, at most: when a client comes.
const certificatesPause = time.Second

// certificates are the server's certificate and the authorities of its clients. They are
// read anew when their files change: a renewed certificate needs no restart.
type certificates struct {
	files Files
	log   *slog.Logger // nil: silence

	mu      sync.Mutex
	looked  time.Time
	stamps  [3]stamp // of the files as they were read
	current *tls.Config
}

// stamp tells a file from what it was before.
type stamp struct {
	time time.Time
	size int64
}

// newCertificates reads the files.
func newCertificates(f Files) (*certificates, error) {
	c := &certificates{files: f}
	c.stamps = c.now()
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
	if time.Since(c.looked) < certificatesPause {
		return c.current
	}
	c.looked = time.Now()
	stamps := c.now()
	if stamps == c.stamps {
		return c.current
	}
	next, err := c.read()
	if err != nil {
		if c.log != nil {
			c.log.Warn("the certificates that changed cannot be read: those before stay in force", "error", err)
		}
		return c.current
	}
	c.current, c.stamps = next, stamps
	if c.log != nil {
		c.log.Info("certificates were read anew", "certificate", c.files.Certificate)
	}
	return c.current
}

// now returns the stamps of the files; what is not there has none.
func (c *certificates) now() (stamps [3]stamp) {
	for i, name := range []string{c.files.Certificate, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(name); err == nil {
			stamps[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return stamps
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
