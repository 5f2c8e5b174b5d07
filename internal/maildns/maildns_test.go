package maildns_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/internal/maildns"
)

var update = flag.Bool("update", false, "write the golden files")

// say is what was found, as a person would read it.
func say(found []maildns.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%-7s %s %s: %s\n", f.Level, f.Subject, f.Name, f.What)
		for _, x := range [][2]string{{"  do: ", f.Remedy}, {"  now: ", f.Record}, {"  publish: ", f.Publish}} {
			if x[1] != "" {
				b.WriteString(x[0] + strings.ReplaceAll(x[1], "\n", "\n       ") + "\n")
			}
		}
	}
	return b.String()
}

// keys are always the same, so that what is published is, too.
func testKeys(t testing.TB) (*rsa.PublicKey, ed25519.PublicKey) {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(testRSA), ""))
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*rsa.PublicKey), ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
}

const testRSA = `
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvlNDdXCcbSTkMNdXRY5i1NZa1+EH4cU33doTVuTMIJMZAlOQVwP26t4o
79f8pcRi/b3S/0zZBPg6rY0RM5h2EOOIEfD9gnSvy+9R4E5P5/0Xbn22HB/q/HGSWnC3bYGAuR19/XD42R7HHdKdHanJ1GmNweuo
PMLKqO17aOWR1L1CwfPYnAALogXvv4bEufakdK9hen6rohgklEzL8YhGy5seIFAXcdAk+NKd/xQreLhhEH4yyUXJzCcO5cOCS2dz
h5aQ91Wp4jK3i6ZWvGMdl5fNY9sA0EZWwUFj+h5YObqKC70S9i+Rf/kNuC1vUFx8mCxBCDbNtdbXT78HC2WMvQIDAQAB
`

const edRecord = "v=DKIM1; k=ed25519; p=O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="

// well is a domain of which nothing is wrong.
const well = `
example.com. IN TXT "v=spf1 ip4:192.0.2.0/24 include:_spf.example.net a:smtp.example.com -all"
example.com. IN TXT "another-record=1"
_spf.example.net. IN TXT "v=spf1 ip6:2001:db8::/32 mx -all"
_spf.example.net. IN MX 10 mx.example.net.
mx.example.net. IN A 198.51.100.7
smtp.example.com. IN A 203.0.113.9
smtp.example.com. IN AAAA 2001:db8::9
example.com. IN MX 10 mx.example.com.
mx.example.com. IN A 192.0.2.25
_dmarc.example.com. IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
`

func keyLines(selector string) string {
	text := "v=DKIM1; k=rsa; p=" + strings.Join(strings.Fields(testRSA), "")
	return selector + `._domainkey.example.com. IN TXT "` + text[:255] + `" "` + text[255:] + "\"\n" +
		selector + `e._domainkey.example.com. IN TXT "` + edRecord + "\"\n"
}

func TestCheck(t *testing.T) {
	rsaKey, edKey := testKeys(t)
	signed := func(m maildns.Mail) maildns.Mail {
		m.Keys = []maildns.Key{{Domain: "example.com", Selector: "s1", Public: rsaKey}, {Domain: "Example.com", Selector: "S1e", Public: edKey}}
		return m
	}
	from := maildns.Mail{From: "example.com", Relays: []string{"smtp.example.com"}}
	for name, c := range map[string]struct {
		zone string
		mail maildns.Mail
	}{
		"well":     {well + keyLines("s1"), signed(from)},
		"nothing":  {"", signed(maildns.Mail{From: "news.example.com", ReturnPath: "example.com", Relays: []string{"smtp.example.com", "127.0.0.1"}})},
		"sends":    {well, maildns.Mail{From: "example.com", SendsFrom: addresses("192.0.2.1", "2001:db8::1", "198.51.100.7", "203.0.113.9", "203.0.113.10")}},
		"unsigned": {well, from},
		"inside":   {well, maildns.Mail{From: "example.com", Relays: []string{"10.0.0.1", "127.0.0.1", "nowhere.example.com", "203.0.113.77"}}},
		"several": {`
example.com. IN TXT "v=spf1 include:a.example ~all"
example.com. IN TXT "v=spf1 ip4:192.0.2.1 include:a.example -all"
_dmarc.example.com. IN TXT "v=DMARC1; p=none"
_dmarc.example.com. IN TXT "v=DMARC1; p=reject"
s1._domainkey.example.com. IN TXT "p="
s1._domainkey.example.com. IN TXT "` + edRecord + `"
s1e._domainkey.example.com. IN TXT "p="
example.com. IN MX 0 .
`, signed(from)},
		"weak": {`
example.com. IN TXT "v=spf1 a mx:gone.example.com ?all"
example.com. IN A 192.0.2.1
_dmarc.example.com. IN TXT "v=DMARC1; p=quarantine; pct=20; aspf=s; adkim=s"
s1e._domainkey.example.com. IN TXT "` + edRecord + `; t=y:s; s=*; h=sha1:sha256"
`, maildns.Mail{From: "example.com", Keys: []maildns.Key{{Domain: "example.com", Selector: "s1e", Public: edKey}}}},
		"broken": {`
example.com. IN TXT "v=spf1 ipv4:192.0.2.1 -all"
_dmarc.example.com. IN TXT "v=DMARC1; p=rejct"
s1._domainkey.example.com. IN TXT "v=DKIM1; p=***"
s1e._domainkey.example.com. IN TXT "` + edRecord + `; h=sha1"
example.com. IN MX 10 mx.example.com.
`, signed(from)},
		"not aligned": {well + keyLines("s1") + `
bounces.example.net. IN TXT "v=spf1 redirect=_spf.example.net"
bounces.example.net. IN MX 10 mx.example.net.
bounces.example.net. IN MX 20 gone.example.net.
_dmarc.status.example.com. IN TXT "v=DMARC1; p=none; adkim=s; rua=mailto:a@example.com"
`, signed(maildns.Mail{From: "status.example.com", ReturnPath: "bounces.example.net"})},
		"policy of the parent": {well + keyLines("s1") + `
status.example.com. IN TXT "v=spf1 include:example.com ~all"
status.example.com. IN A 192.0.2.80
_dmarc.example.com. IN TXT "v=spf1 is something else"
`, signed(maildns.Mail{From: "status.example.com", Relays: []string{"192.0.2.5"}})},
		"strict below": {`
status.example.com. IN TXT "v=spf1 redirect=bounces.status.example.com"
bounces.status.example.com. IN TXT "v=spf1 ip4:192.0.2.1 -all"
bounces.status.example.com. IN A 192.0.2.1
_dmarc.example.com. IN TXT "v=DMARC1; p=reject; sp=none; aspf=s; rua=mailto:a@example.com"
`, maildns.Mail{From: "status.example.com", ReturnPath: "bounces.status.example.com"}},
		"for another use": {well + `
s1._domainkey.example.com. IN TXT "v=DKIM1; k=rsa; p=AAAA; s=tlsrpt"
s1e._domainkey.example.com. IN TXT "` + edRecord + `; s=tlsrpt"
`, signed(maildns.Mail{From: "example.com", ReturnPath: "example.net"})},
		"trouble": {`
example.com. SERVFAIL
_dmarc.example.com. SERVFAIL
s1._domainkey.example.com. SERVFAIL
s1e._domainkey.example.com. SERVFAIL
`, signed(from)},
		"everybody": {"example.com. IN TXT \"v=spf1 +all\"\n_dmarc.example.com. IN TXT \"v=DMARC1; p=reject\"\nexample.com. IN MX 1 gone.example.com.\n", from},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			got := say(maildns.Check(ctx, serveZone(t, c.zone), c.mail))
			path := filepath.Join("testdata", strings.ReplaceAll(name, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil { //nolint:gosec // it is for everybody
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || got != string(want) {
				t.Errorf("%v; now it is\n%s", err, got)
			}
		})
	}
}

func addresses(all ...string) (out []netip.Addr) {
	for _, s := range all {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// level is the first finding on a subject.
func level(found []maildns.Finding, subject string) maildns.Finding {
	for _, f := range found {
		if f.Subject == subject {
			return f
		}
	}
	return maildns.Finding{}
}

// Records that lead in circles, or far, end and are wrong.
func TestSPFLimits(t *testing.T) {
	var chain strings.Builder
	for i := range 12 {
		fmt.Fprintf(&chain, "s%d.example. IN TXT \"v=spf1 include:s%d.example -all\"\n", i, i+1)
	}
	chain.WriteString("s12.example. IN TXT \"v=spf1 -all\"\n")
	ten := "ten.example. IN TXT \"v=spf1" + strings.Repeat(" exists:%{i}.x.example", 10) + " -all\"\n"
	for domain, want := range map[string]string{
		"loop.example":   "wrong: The record takes",
		"pair.example":   "wrong: The record takes",
		"many.example":   "wrong: The record takes",
		"s0.example":     "wrong: The record takes",
		"s2.example":     "ok: There is one record, and it takes 10 lookups",
		"s1.example":     "wrong: The record takes 11 lookups",
		"ten.example":    "ok: There is one record, and it takes 10 lookups",
		"voids.example":  "wrong: The record names gone1.example, gone2.example, gone3.example that have no address",
		"gone.example":   "wrong: Receivers cannot use the record: it refers to nowhere.example, which has 0 SPF records.",
		"two.example":    "wrong: Receivers cannot use the record: it refers to twice.example, which has 2 SPF records.",
		"deep.example":   "wrong: Receivers cannot use the record: in the record of bad.example, \"ip4:x\"",
		"no-end.example": "note: There is one record, and it takes 1 lookup",
	} {
		r := serveZone(t, chain.String()+ten+`
loop.example. IN TXT "v=spf1 include:loop.example include:loop.example include:loop.example -all"
pair.example. IN TXT "v=spf1 redirect=riap.example"
riap.example. IN TXT "v=spf1 include:pair.example"
many.example. IN TXT "v=spf1 a:1.example a:2.example a:3.example a:4.example a:5.example a:6.example a:7.example a:8.example a:9.example a:10.example a:11.example -all"
1.example. IN A 192.0.2.1
voids.example. IN TXT "v=spf1 a:gone1.example mx:gone2.example a:gone3.example -all"
gone.example. IN TXT "v=spf1 include:nowhere.example -all"
two.example. IN TXT "v=spf1 include:twice.example -all"
twice.example. IN TXT "v=spf1 -all"
twice.example. IN TXT "v=spf1 ~all"
deep.example. IN TXT "v=spf1 include:bad.example -all"
bad.example. IN TXT "v=spf1 ip4:x -all"
no-end.example. IN TXT "v=spf1 include:s12.example"
`)
		f := level(maildns.Check(t.Context(), r, maildns.Mail{From: domain}), "SPF")
		if got := string(f.Level) + ": " + f.What; !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", domain, got)
		}
	}
}

// TestSPFResults holds the evaluation to RFC 7208.
func TestSPFResults(t *testing.T) {
	for record, want := range map[string]string{ // of 192.0.2.1
		"ip4:192.0.2.1 -all":                       "passes",
		"ip4:192.0.2.0/31 -all":                    "passes",
		"ip4:192.0.2.0/32 -all":                    "record says fail",
		"-ip4:192.0.2.1 +ip4:192.0.2.0/24 ~all":    "record says fail",
		"~all":                                     "record says softfail",
		"?all":                                     "record says neutral",
		"ip6:2001:db8::/32":                        "record says neutral",
		"a -all":                                   "passes",
		"a/24 -all":                                "passes",
		"a:net.example/28 -all":                    "passes",
		"a:net.example -all":                       "record says fail",
		"a:net.example//64 -all":                   "record says fail",
		"mx -all":                                  "passes",
		"mx:net.example -all":                      "record says fail",
		"include:inner.example -all":               "passes",
		"include:never.example -all":               "record says fail",
		"-include:inner.example ?all":              "record says fail",
		"redirect=inner.example":                   "passes",
		"redirect=never.example":                   "record says fail",
		"-all redirect=inner.example":              "record says fail",
		"exists:%{i}.x.example -all":               "depends",
		"exists:%{i}.x.example ip4:192.0.2.1 -all": "passes",
		"-ptr ~all":                                "depends",
		"include:%{d}.x.example ~all":              "depends",
		"IP4:192.0.2.1 -ALL":                       "passes",
	} {
		r := serveZone(t, `
x.example. IN TXT "v=spf1 `+record+`"
x.example. IN A 192.0.2.1
x.example. IN MX 1 x.example.
net.example. IN A 192.0.2.15
net.example. IN MX 1 net.example.
inner.example. IN TXT "v=spf1 ip4:192.0.2.1 -all"
never.example. IN TXT "v=spf1 -all"
`)
		var said string
		for _, f := range maildns.Check(t.Context(), r, maildns.Mail{From: "x.example", SendsFrom: addresses("192.0.2.1")}) {
			if strings.Contains(f.What, "192.0.2.1 ") {
				said = f.What
			}
		}
		if !strings.Contains(said, want) || want == "passes" && (strings.Contains(said, "depends") || strings.Contains(said, "not pass")) {
			t.Errorf("%s: %q, want %s", record, said, want)
		}
	}
}

func TestShortRSAKey(t *testing.T) {
	for bits, want := range map[int]maildns.Level{1024: maildns.Note, 2048: maildns.OK} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		r := serveZone(t, "s._domainkey.example.com. IN TXT "+quoted("p="+base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&key.PublicKey))))
		f := level(maildns.Check(t.Context(), r, maildns.Mail{From: "example.com", Keys: []maildns.Key{{Domain: "example.com", Selector: "s", Public: &key.PublicKey}}}), "DKIM")
		if f.Level != want || (want == maildns.Note) != (f.Remedy != "") {
			t.Errorf("%d bits: %+v", bits, f)
		}
	}
}

func quoted(s string) string {
	var parts []string
	for s != "" {
		n := min(len(s), 200)
		parts = append(parts, `"`+s[:n]+`"`)
		s = s[n:]
	}
	return strings.Join(parts, " ")
}

// A check that is cut off ends, and says so.
func TestCutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range maildns.Check(ctx, serveZone(t, well), maildns.Mail{From: "example.com"}) {
		if f.Subject == "SPF" && f.Level != maildns.Trouble {
			t.Errorf("%+v", f)
		}
	}
}
