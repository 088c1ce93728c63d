package serve

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certify writes a certificate with that number, and its key.
func certify(t *testing.T, f Files, number int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		f.Certificate: {Type: "CERTIFICATE", Bytes: der}, f.Key: {Type: "PRIVATE KEY", Bytes: secret},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCertificatesAreReadAnew(t *testing.T) {
	dir := t.TempDir()
	f := Files{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	certify(t, f, 1)
	c, err := newCertificates(f)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	c.log = slog.New(slog.NewTextHandler(&text, nil))
	number := func() int64 {
		t.Helper()
		c.watch.looked = time.Time{} // as if a second had passed
		leaf, err := x509.ParseCertificate(c.get().Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	if n := number(); n != 1 {
		t.Fatalf("certificate %d", n)
	}
	certify(t, f, 2)
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(f.Certificate, later, later); err != nil {
		t.Fatal(err)
	}
	if n := number(); n != 2 || !strings.Contains(text.String(), "read anew") {
		t.Errorf("certificate %d after it was renewed; log: %s", n, text.String())
	}
	if err := os.WriteFile(f.Certificate, []byte("half of it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := number(); n != 2 || !strings.Contains(text.String(), "stay in force") {
		t.Errorf("certificate %d after a bad one; log: %s", n, text.String())
	}
	certify(t, f, 3)
	if n := number(); n != 3 {
		t.Errorf("certificate %d after a good one", n)
	}
}

func TestWarningsOfTheWayIn(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct {
		listen string
		mode   os.FileMode
		want   []string
	}{
		{"192.0.2.1:1", 0o600, []string{"unencrypted"}},
		{"127.0.0.1:1", 0o600, nil},
		{"127.0.0.1:1", 0o644, []string{"others may read the token"}},
	} {
		if err := os.WriteFile(token, []byte("correct horse battery staple"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(token, c.mode); err != nil {
			t.Fatal(err)
		}
		o := &Options{Address: netip.MustParseAddrPort(c.listen)}
		if err := o.Read(Files{Token: token}); err != nil {
			t.Fatal(err)
		}
		got := o.warnings()
		if len(got) != len(c.want) || len(got) > 0 && !strings.Contains(got[0], c.want[0]) {
			t.Errorf("%s, mode %v: %q", c.listen, c.mode, got)
		}
	}
}
