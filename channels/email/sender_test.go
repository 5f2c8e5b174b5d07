package email_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

func TestSender(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, 32))
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := email.New(func(v any) error {
		*v.(*email.Config) = email.Config{
			Relays: []email.Relay{{Host: "b.example.com", Priority: 2}, {Host: "192.0.2.1:25", Priority: 1}}, From: "Status <status@bücher.example>",
			Bounces: email.Bounces{Address: "bounces@return.example.com", Key: secret.New("sixteen characters")},
			DKIM:    []email.DKIM{{Selector: "s1", Key: secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))}},
		}
		return nil
	}, channels.Env{ID: "mail"})
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*email.Channel).Sender()
	if fmt.Sprintf("%s %s %v", s.From, s.ReturnPath, s.Relays) != "xn--bcher-kva.example return.example.com [192.0.2.1 b.example.com]" {
		t.Errorf("%+v", s)
	}
	if len(s.Signatures) != 1 || s.Signatures[0].Domain != s.From || s.Signatures[0].Selector != "s1" || !private.Public().(ed25519.PublicKey).Equal(s.Signatures[0].Public) {
		t.Errorf("%+v", s.Signatures)
	}
}
