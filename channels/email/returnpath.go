package email

import (
	"crypto/hmac"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"sitrep/internal/secret"
)

const (
	// maxKey is the longest delivery key: the contract's 26.
	maxKey = 26

	// returnMAC is how much of the MAC a return path carries, in bytes: 80 bits. Each
	// guess at it costs a message.
	returnMAC = 10

	// maxBounceLocal is what is left of a local part's 64 octets for the mailbox's own
	// name: name+key-mac.
	maxBounceLocal = maxLocal - 1 - maxKey - 1 - returnMAC*8/5
)

// lowerBase32 survives relays that do not keep the case of a local part.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// ReturnPath is the envelope sender of a delivery: the address to which reports come
// back, with the delivery's key and a MAC over it as a subaddress (RFC 5233),
// bounces+KEY-MAC@example.com. It is the same on every attempt, which greylisting
// needs, has one case only, and its local part is at most 64 octets long where address
// is one that a configuration may have. address is taken as it is.
func ReturnPath(key secret.String, address, delivery string) string {
	return returnStamp(key).returnPath(address, delivery)
}

func returnStamp(key secret.String) *stamp { return &stamp{key: key, purpose: "sitrep return path 1"} }

func (s *stamp) returnPath(address, delivery string) string {
	at := max(strings.LastIndexByte(address, '@'), 0)
	dst := append(append(make([]byte, 0, maxAddr), address[:at]...), '+')
	dst = append(append(dst, delivery...), '-')
	return string(append(s.appendReturnMAC(dst, delivery), address[at:]...))
}

func (s *stamp) appendReturnMAC(dst []byte, delivery string) []byte {
	sum := s.of(delivery)
	return lowerBase32.AppendEncode(dst, sum[:returnMAC])
}

// ReadReturnPath is the delivery whose return path this is, in angle brackets or not
// and in any case. It is false for one that was not made with the key, and takes the
// same time for every wrong one of a length. Whose mailbox it is, that is, what is
// before the plus and after the @, does not matter here; see
// [Channel.ReadReturnPath] for that. Who was sent the message knows its return path.
func ReadReturnPath(key secret.String, address string) (delivery string, ok bool) {
	_, delivery, _, ok = readReturnPath(key, address)
	return delivery, ok
}

func readReturnPath(key secret.String, address string) (mailbox, delivery, domain string, ok bool) {
	local, domain, found := cutAddress(address)
	plus, hyphen := strings.LastIndexByte(local, '+'), strings.LastIndexByte(local, '-')
	if !found || key.Empty() || plus < 1 || hyphen < plus {
		return "", "", "", false
	}
	delivery = local[plus+1 : hyphen]
	if !isKey(delivery) || !hmac.Equal([]byte(local[hyphen+1:]), returnStamp(key).appendReturnMAC(nil, delivery)) {
		return "", "", "", false
	}
	return local[:plus], delivery, domain, true
}

// cutAddress takes an address apart, folded to lower case and out of its angle brackets.
func cutAddress(s string) (local, domain string, ok bool) {
	s = strings.TrimSpace(s)
	if inner, found := strings.CutPrefix(s, "<"); found {
		s = strings.TrimSuffix(inner, ">")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > maxAddr || !isASCII(s) {
		return "", "", false
	}
	return strings.ToLower(s[:at]), strings.ToLower(s[at+1:]), true
}

func isKey(s string) bool {
	return s != "" && len(s) <= maxKey && !strings.ContainsFunc(s, notKey)
}

// ReadMessageID is the delivery whose Message-ID this is, in angle brackets or not:
// its left side is a delivery's key and its right side is domain exactly, but for the
// case of the domain. Everybody who has seen the message knows its Message-ID, so it
// proves nothing about who speaks of it.
func ReadMessageID(domain, id string) (delivery string, ok bool) {
	id = strings.TrimSpace(id)
	if inner, found := strings.CutPrefix(id, "<"); found {
		id, found = strings.CutSuffix(inner, ">")
		if !found {
			return "", false
		}
	}
	left, right, _ := strings.Cut(id, "@")
	if domain == "" || !isKey(left) || !strings.EqualFold(right, domain) {
		return "", false
	}
	return left, true
}

// BounceAddress is the mailbox to which reports come back, bounces.address in the
// configuration, or empty if they go to From.
func (c *Channel) BounceAddress() string { return c.settings.bounceTo.spec }

// ReadReturnPath is the delivery whose return path this is: made with this channel's
// key, and for this channel's mailbox. Without a configured mailbox nothing is.
func (c *Channel) ReadReturnPath(address string) (delivery string, ok bool) {
	mailbox, delivery, domain, ok := readReturnPath(c.settings.Bounces.Key, address)
	if to := c.settings.bounceTo; !ok || !strings.EqualFold(mailbox+"@"+domain, to.spec) {
		return "", false
	}
	return delivery, true
}

// ReadMessageID is the delivery whose Message-ID this is: [ReadMessageID] for this
// channel's message_id_domain as it is now.
func (c *Channel) ReadMessageID(id string) (delivery string, ok bool) {
	return ReadMessageID(c.settings.MessageIDDomain, id)
}

// returnPath is the envelope sender of a delivery of this channel.
func (c *Channel) returnPath(delivery string) address {
	to := c.settings.bounceTo
	if to.spec == "" {
		return c.settings.from.addr
	}
	return address{spec: c.returns.returnPath(to.spec, delivery)}
}

func (s *settings) checkBounces() error {
	b := s.Bounces
	if b.Address == "" && b.Key.Empty() {
		return nil
	}
	var errs []error
	if err := s.checkBounceAddress(b.Address); err != nil {
		errs = append(errs, fmt.Errorf("bounces: address: %w", err))
	}
	if len(b.Key.Reveal()) < minKey {
		errs = append(errs, fmt.Errorf("bounces: key: it must have at least %d characters; make one with `openssl rand -base64 32`", minKey))
	}
	return errors.Join(errs...)
}

func (s *settings) checkBounceAddress(text string) error {
	if text == "" {
		return errors.New("missing; write the mailbox to which reports come back, such as bounces@example.com")
	}
	to, err := parseAddress(text)
	if err != nil {
		return err
	}
	local := to.spec[:strings.LastIndexByte(to.spec, '@')]
	switch {
	case to.utf8, local[0] == '"':
		return fmt.Errorf("%q cannot carry a subaddress; the part before the @ must be plain letters and digits", text)
	case len(local) > maxBounceLocal:
		return fmt.Errorf("the part before the @ is %d octets long; +KEY-MAC comes behind it, which leaves %d", len(local), maxBounceLocal)
	}
	s.bounceTo = to
	return nil
}
