package email_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

// keys makes a signature of each algorithm and what stands in DNS for it.
func keys(t testing.TB) (signatures []email.DKIM, dns map[string]string) {
	t.Helper()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(crypto.PrivateKey(private))
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) secret.String {
		return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return []email.DKIM{
		{Selector: "big", Key: text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))},
		{Selector: "small", Domain: "example.com", Key: text("PRIVATE KEY", der)},
	}, map[string]string{
		"big._domainkey.example.com":   "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic),
		"small._domainkey.example.com": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public),
	}
}

// signed is messages of every sort with their signatures.
func signed(t testing.TB, signatures []email.DKIM) map[string]string {
	t.Helper()
	c := open(t, nil, email.Config{
		Host: "relay.test", DKIM: signatures, ReplyTo: "support@example.com",
		Unsubscribe: email.Unsubscribe{URL: "https://status.example.com/u/", Key: secret.New("0123456789abcdef")},
	})
	plain := envelope("k1")
	plain.List, plain.Audience, plain.Thread = "contacts", "customer", "<first@example.com> <second@example.com>"
	odd := envelope("k2")
	odd.Message.Text = " \t spaces   and \ttabs \n\n.\n..dots\nFrom here\nümlaut   \n\n\n\n"
	odd.Message.Subject = strings.Repeat("Störung ", 30)
	bare := envelope("k3")
	bare.Message = channels.Message{Format: channels.FormatEmail, Text: "x"}
	got := map[string]string{}
	for name, e := range map[string]channels.Envelope{"plain": plain, "odd": odd, "bare": bare} {
		raw, err := email.Compose(c, e)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := email.Compose(c, e); again != raw {
			t.Errorf("%s: two attempts differ", name)
		}
		got[name] = raw
	}
	return got
}

// TestDKIM has a verifier of other people's making look at the signatures.
func TestDKIM(t *testing.T) {
	signatures, dns := keys(t)
	verify := func(raw string) error {
		found, err := dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) { return []string{dns[name]}, nil },
		})
		if err != nil {
			return err
		}
		if len(found) != 2 {
			return fmt.Errorf("%d signatures", len(found))
		}
		for _, v := range found {
			if v.Err != nil {
				return v.Err
			}
		}
		return nil
	}
	for name, raw := range signed(t, signatures) {
		if err := verify(raw); err != nil {
			t.Errorf("%s: %v\n%s", name, err, raw)
		}
		for _, change := range []string{"Subject: Free money\r\n", "From: eve@example.com\r\n", "List-Unsubscribe: <https://evil.example/>\r\n", "Cc: x@y.example\r\n"} {
			if verify(change+raw) == nil {
				t.Errorf("%s: with %q added the signature still holds", name, change)
			}
		}
		if verify(strings.Replace(raw, "Thread-Index: A", "Thread-Index: B", 1)) == nil {
			t.Errorf("%s: with another conversation the signature still holds", name)
		}
		if verify(strings.Replace(raw, "Date: Sun", "Date: Mon", 1)) == nil {
			t.Errorf("%s: with another date the signature still holds", name)
		}
	}
	if raw := signed(t, signatures)["plain"]; !strings.Contains(raw, "List-Unsubscribe:\r\n  List-Unsubscribe:\r\n") || !strings.Contains(raw, "t=1795375200") {
		t.Errorf("RFC 8058 wants List-Unsubscribe signed, and the time is the message's own:\n%s", raw)
	}
}

// debianPython is the one that Debian's modules are for.
const debianPython = "/usr/bin/python3"

// dkimpy verifies a message against the records in a file.
const dkimpy = `
import sys, json, dkim
dns = json.load(open(sys.argv[1]))
raw = open(sys.argv[2], "rb").read()
d = dkim.DKIM(raw)
for i in range(2):
    if not d.verify(idx=i, dnsfunc=lambda name, timeout=5: dns[name.decode().rstrip(".")].encode()):
        sys.exit("signature %d does not hold" % i)
`

// TestDKIMByDkimpy is the same with Debian's python3-dkim. It is left out where that is
// not installed, unless SITREP_REAL=require.
func TestDKIMByDkimpy(t *testing.T) {
	if out, err := exec.CommandContext(t.Context(), debianPython, "-c", "import dkim, nacl").CombinedOutput(); err != nil {
		if os.Getenv("SITREP_REAL") == "require" {
			t.Fatalf("python3-dkim and python3-nacl are required: %v: %s", err, out)
		}
		t.Skip("left out: Debian's python3-dkim and python3-nacl are not installed")
	}
	signatures, dns := keys(t)
	dir := t.TempDir()
	var records []string
	for name, txt := range dns {
		records = append(records, fmt.Sprintf("%q: %q", name, txt))
	}
	write := func(name, text string) string {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir + "/" + name
	}
	zone := write("dns.json", "{"+strings.Join(records, ",")+"}")
	for name, raw := range signed(t, signatures) {
		if out, err := exec.CommandContext(t.Context(), debianPython, "-c", dkimpy, zone, write(name, raw)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		if exec.CommandContext(t.Context(), debianPython, "-c", dkimpy, zone, write(name, "Subject: x\r\n"+raw)).Run() == nil {
			t.Errorf("%s: a second subject was not noticed", name)
		}
	}
}

// BenchmarkDKIM is what signatures cost for each message.
func BenchmarkDKIM(b *testing.B) {
	signatures, _ := keys(b)
	for name, which := range map[string][]email.DKIM{"none": nil, "rsa2048": signatures[:1], "ed25519": signatures[1:]} {
		b.Run(name, func(b *testing.B) {
			c := open(b, nil, email.Config{Host: "relay.test", DKIM: which})
			for n := 0; b.Loop(); n++ {
				if _, err := email.Compose(c, benchEnvelope(n)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestUnsubscribe: who may leave has a link to do so, and nobody else can make one.
func TestUnsubscribe(t *testing.T) {
	key := secret.New("0123456789abcdef")
	cfg := email.Config{
		Unsubscribe:  email.Unsubscribe{URL: "https://status.example.com/u/", Key: key},
		ReplyTo:      "support@example.com",
		ReplyToLists: map[string]string{"contacts": "Account team <accounts@example.com>"},
	}
	for _, row := range []struct {
		list, audience, id, replyTo string
		leaves                      bool
	}{
		{"contacts", "customer", "contacts.example.com", "Account team <accounts@example.com>", true},
		{"Pub/lic", "public", "pub-lic.example.com", "support@example.com", true},
		{"war-room", "internal", "war-room.example.com", "support@example.com", false},
		{"", "", "", "support@example.com", false},
		{"\r\nBcc: x@y", "customer", "bcc--x-y.example.com", "support@example.com", true},
	} {
		e := envelope("k1")
		e.List, e.Audience = row.list, row.audience
		raw, _ := deliver(t, cfg, e)
		if row.id == "" && strings.Contains(raw, "List-Id") || row.id != "" && !strings.Contains(raw, "\r\nList-Id: <"+row.id+">\r\n") {
			t.Errorf("%q: no List-Id %q:\n%s", row.list, row.id, raw)
		}
		if !strings.Contains(raw, "\r\nReply-To: "+row.replyTo+"\r\n") {
			t.Errorf("%q: no Reply-To %q:\n%s", row.list, row.replyTo, raw)
		}
		link := "\r\nList-Unsubscribe:\r\n <https://status.example.com/u/" + email.UnsubscribeToken(key, "mail", e.To.Address) + ">\r\n" +
			"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
		if strings.Contains(raw, link) != row.leaves || strings.Contains(raw, "List-Unsubscribe") != row.leaves {
			t.Errorf("%q, %q: may leave: %t, but:\n%s", row.list, row.audience, row.leaves, raw)
		}
	}
}

// FuzzUnsubscribeToken: whatever comes in, only what the key has made comes out.
func FuzzUnsubscribeToken(f *testing.F) {
	key, other := secret.New("0123456789abcdef"), secret.New("0123456789abcdeF")
	f.Add("mail", "alice@abc.example", email.UnsubscribeToken(other, "mail", "alice@abc.example"))
	f.Add("a b", "björn@x.example", "")
	f.Add("", "", "AAAA.-_")
	f.Fuzz(func(t *testing.T, channel, address, forged string) {
		if strings.Contains(channel, "\x00") || len(channel)+len(address) > 900 {
			return
		}
		token := email.UnsubscribeToken(key, channel, address)
		if c, a, ok := email.ReadUnsubscribeToken(key, token); !ok || c != channel || a != address {
			t.Errorf("%q is %q %q %t", token, c, a, ok)
		}
		if bytes.ContainsAny([]byte(token), "/+=<>,% \r\n") {
			t.Errorf("%q needs escaping", token)
		}
		if _, _, ok := email.ReadUnsubscribeToken(other, token); ok {
			t.Error("another key opens it")
		}
		if c, a, ok := email.ReadUnsubscribeToken(key, forged); ok && email.UnsubscribeToken(key, c, a) != strings.TrimRight(forged, "\r\n") {
			t.Errorf("%q was taken for %q %q", forged, c, a)
		}
	})
}
