package email_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

// authority makes a CA and a server certificate of it for 127.0.0.1 and relay.test,
// and returns the server's configuration and the CA's file.
func authority(t testing.TB) (*tls.Config, string) {
	t.Helper()
	caKey, ca := certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	key, leaf := certificate(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "relay.test"},
		DNSNames: []string{"relay.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, ca, caKey)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}, file
}

func certificate(t testing.TB, c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

// decode is a decoder that yields cfg.
func decode(cfg email.Config) channels.Decode {
	return func(v any) error {
		*v.(*email.Config) = cfg
		return nil
	}
}

// open makes a channel; what cfg leaves out of host, tls and from is filled in for an
// unencrypted relay.
func open(t testing.TB, r *relay, cfg email.Config) *email.Channel {
	t.Helper()
	if cfg.Host == "" && len(cfg.Relays) == 0 {
		cfg.Host = r.addr()
	}
	if cfg.TLS == "" && r != nil && r.tls == nil {
		cfg.TLS = "none"
	}
	if cfg.From == "" {
		cfg.From = "Status <status@example.com>"
	}
	c, err := email.New(decode(cfg), channels.Env{ID: "mail", Now: func() time.Time { return day }})
	if err != nil {
		t.Fatal(err)
	}
	ch := c.(*email.Channel)
	t.Cleanup(func() { _ = ch.Close() })
	return ch
}

var day = time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)

var message = channels.Message{
	Format:  channels.FormatEmail,
	Subject: "[Identified SEV1] Enterprise ABC outage (abc-1)",
	Text:    "Status: Identified\n\nThe checkout is slow. \nWe know why.\n\n.hidden dot\n",
	HTML:    "<!DOCTYPE html>\n<html lang=\"en\"><body><p>Status: <b>Identified</b> – we know why.</p></body></html>\n",
}

func envelope(key string) channels.Envelope {
	return channels.Envelope{
		Key: key, To: channels.Recipient{Address: "alice@abc.example", Name: "Alice"},
		Message: message, Accepted: day,
	}
}
