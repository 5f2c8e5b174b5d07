package email

import (
	"cmp"
	"crypto"
)

// Sender is whom a channel's mail is from, as far as the DNS says something about it.
// Domains and hosts are in ASCII.
type Sender struct {
	From, ReturnPath string   // domains: of From, and of the envelope's sender
	Relays           []string // hosts, in the order of preference
	Signatures       []Signature
}

// Signature is a DKIM signature that is made here, with its public key.
type Signature struct {
	Domain, Selector string
	Public           crypto.PublicKey // *rsa.PublicKey or ed25519.PublicKey
}

// Sender is whom the channel's mail is from.
func (c *Channel) Sender() Sender {
	s := Sender{From: c.settings.from.addr.domain, ReturnPath: cmp.Or(c.settings.bounceTo.domain, c.settings.from.addr.domain)}
	for _, e := range c.settings.endpoints {
		s.Relays = append(s.Relays, e.host)
	}
	for _, x := range c.settings.signers {
		s.Signatures = append(s.Signatures, Signature{Domain: x.domain, Selector: x.selector, Public: x.key.Public()})
	}
	return s
}
