package maildns_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"sitrep/internal/maildns"
)

func FuzzSPF(f *testing.F) {
	for _, s := range []string{
		"v=spf1 -all", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a mx:x.example/24//64 include:y.example ?exists:%{ir}.%{v}._spf.%{d2} ptr ~all",
		"v=spf1 redirect=_spf.example.com exp=explain.example.com", "V=SPF1 A/", "v=spf1 a:/24", "v=spf1 = -", "v=spf1 %", "v=spf1 mx//0", "v=spf1 +",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := maildns.ParseSPF(s); err != nil {
			return
		}
		one := maildns.Merged([]string{s, s})
		if _, err := maildns.ParseSPF(one); err != nil {
			t.Errorf("%q merged is %q: %v", s, one, err)
		}
	})
}

func FuzzDKIM(f *testing.F) {
	for _, s := range []string{edRecord, "p=", "v=DKIM1; t=y:s; p=AAAA;", "k = rsa ; p = A A A A", "p=A;p=B", ";", "v=DKIM2;p=", "p=AAAA;;"} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { _, _ = maildns.ParseDKIM(s) })
}

func FuzzDMARC(f *testing.F) {
	for _, s := range []string{
		"v=DMARC1; p=none", "v=DMARC1;p=reject;sp=quarantine;adkim=s;aspf=r;pct=50;rua=mailto:a@b.example!10m", "v=DMARC1", "v=DMARC1; p=none; pct=101", "v = DMARC1 ; p=none;;",
	} {
		f.Add(s)
	}
	f.Fuzz(func(_ *testing.T, s string) { _, _ = maildns.ParseDMARC(s) })
}

// What is to be published is what a zone file reads.
func FuzzZoneLine(f *testing.F) {
	f.Add(strings.Repeat("x", 600))
	f.Add(`a "quoted" \ backslash; and more`)
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" || len(s) > 4000 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return
		}
		rr, err := dns.NewRR(maildns.ZoneLine("x.example", s))
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		got := strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.Join(rr.(*dns.TXT).Txt, ""))
		if got != s {
			t.Errorf("%q comes back as %q", s, got)
		}
	})
}
