// Package maildns looks up what the DNS says about a sender of mail, and judges it as a
// receiver would: SPF (RFC 7208), DKIM (RFC 6376, RFC 8301, RFC 8463), DMARC (RFC 7489)
// and the MX of the address to which returned mail goes.
//
// # What is looked at
//
//   - SPF, of the return path's domain, for that is whose record receivers read: that
//     there is one record, only one, that it can be read, and that it takes at most ten
//     lookups and two empty ones, whatever the sending address. Whether an address passes
//     is told where the address is known: those in [Mail.SendsFrom], and a relay's own.
//     A relay that takes mail at one address may send it on from another, so its own not
//     passing proves nothing.
//   - DKIM, for each key: that its record is there, is the public part of the key in use,
//     is not revoked, is for e-mail and SHA-256, is long enough and is not "testing".
//   - DMARC: the policy of the From domain or, without one, of its organisational domain
//     (by the public suffix list); and whether the return path and the signatures are
//     aligned with From, relaxed or strict as the policy asks.
//   - MX: that returned mail can come back.
//
// Nothing is sent, and nothing but the resolver is asked. What the DNS says is foreign
// text: it comes back as it is, and bounded, for the caller to print with care.
package maildns

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Resolver is the part of net.Resolver that is used. A name that does not exist is a
// *net.DNSError with IsNotFound.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// At is a resolver that asks the server at an address, host:port, and no other.
func At(address string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

// Mail is a sender of mail. Domains are in ASCII.
type Mail struct {
	From       string       // the domain in From
	ReturnPath string       // the domain of the envelope's sender; empty: From
	Relays     []string     // hosts that take the mail: names or addresses
	SendsFrom  []netip.Addr // addresses that it is known to reach receivers from
	Keys       []Key        // what it is signed with before a relay gets it
}

// Key is a signature's key.
type Key struct {
	Domain, Selector string
	Public           crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
}

// Level is how good a finding is.
type Level string

// The levels.
const (
	OK      Level = "ok"
	Note    Level = "note"    // it works, and could be better
	Unknown Level = "unknown" // it cannot be told from here
	Wrong   Level = "wrong"   // receivers will hold it against the mail
	Trouble Level = "trouble" // the DNS did not answer
)

// Finding is one thing that was found out.
type Finding struct {
	Subject string `json:"subject"` // SPF, DKIM, DMARC or MX
	Name    string `json:"name"`    // in the DNS
	Level   Level  `json:"level"`
	What    string `json:"what"`              // for people
	Remedy  string `json:"remedy,omitempty"`  // what to do
	Record  string `json:"record,omitempty"`  // what was found; several stand in lines
	Publish string `json:"publish,omitempty"` // the record to publish, as zone files have it
}

// Check looks everything up. It returns something on every subject, in the order SPF,
// DKIM, DMARC, MX.
func Check(ctx context.Context, r Resolver, m Mail) []Finding {
	m.From = fold(m.From)
	m.ReturnPath = cmp.Or(fold(m.ReturnPath), m.From)
	c := &check{ctx: ctx, dns: r, mail: m}
	c.spf()
	c.dkim()
	c.dmarc()
	c.mx()
	return c.found
}

// check is one run.
type check struct {
	ctx   context.Context //nolint:containedctx // it lives as long as one call
	dns   Resolver
	mail  Mail
	found []Finding

	good  []Key // those whose records are right
	noSPF bool  // there is no record that receivers could use
}

func (c *check) add(f Finding) {
	f.Record = clip(f.Record)
	c.found = append(c.found, f)
}

// clip bounds a record.
func clip(s string) string {
	const most = 2000
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func fold(domain string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimSpace(domain), "."))
}

// txt returns the TXT records of a name; none if there is no such name.
func (c *check) txt(name string) ([]string, error) {
	all, err := c.dns.LookupTXT(c.ctx, name+".")
	if absent(err) {
		return nil, nil
	}
	return all, err
}

func absent(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

// trouble says that the DNS did not answer.
func (c *check) trouble(subject, name string, err error) {
	why := err.Error()
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		why = e.Err
	}
	c.add(Finding{
		Subject: subject, Name: name, Level: Trouble, What: "The DNS did not answer: " + why + ".",
		Remedy: "Try again, or ask another name server. If none of them answers, receivers cannot look it up either.",
	})
}

// organisation is the domain that somebody registered: example.co.uk of
// mail.example.co.uk.
func organisation(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return domain
	}
	return org
}

// aligned is RFC 7489 section 3.1.
func aligned(a, b string, strict bool) bool {
	a, b = fold(a), fold(b)
	return a == b || !strict && organisation(a) == organisation(b)
}

// zoneLine is a TXT record as zone files have it. A string in it holds 255 octets at
// most.
func zoneLine(name, value string) string {
	var parts []string
	for rest := value; rest != ""; {
		n := min(len(rest), 255)
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(rest[:n])+`"`)
		rest = rest[n:]
	}
	return fmt.Sprintf("%s. IN TXT %s", name, strings.Join(parts, " "))
}

func number(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
