package email

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"sitrep/internal/secret"
)

// minKey is the shortest key for tokens, in bytes.
const minKey = 16

// tokenMAC is how much of the MAC a token carries: 128 bits.
const tokenMAC = 16

// UnsubscribeToken is what a recipient of a channel unsubscribes with. It holds the
// channel's id and the address, and nobody without the key can make another one. It is
// the same every time, and needs no escaping in a URL.
func UnsubscribeToken(key secret.String, channel, address string) string {
	return string(leaveStamp(key).appendToken(nil, channel, address))
}

func leaveStamp(key secret.String) *stamp { return &stamp{key: key, purpose: "sitrep unsubscribe 1"} }

func (s *stamp) appendToken(dst []byte, channel, address string) []byte {
	sum := s.of(channel, "\x00", address)
	raw := append(make([]byte, 0, 512), sum[:tokenMAC]...)
	raw = append(append(append(raw, channel...), 0), address...)
	return base64.RawURLEncoding.AppendEncode(dst, raw)
}

// ReadUnsubscribeToken is whom a token unsubscribes, and false for one that was not made
// with the key. It takes the same time for every wrong one of a length.
func ReadUnsubscribeToken(key secret.String, token string) (channel, address string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || key.Empty() || len(raw) < tokenMAC || len(raw) > 1024 {
		return "", "", false
	}
	text := string(raw[tokenMAC:])
	if sum := leaveStamp(key).of(text); !hmac.Equal(raw[:tokenMAC], sum[:tokenMAC]) {
		return "", "", false
	}
	return strings.Cut(text, "\x00")
}

func (s *settings) checkUnsubscribe() error {
	u := s.Unsubscribe
	if u.URL == "" && u.Key.Empty() {
		return nil
	}
	var errs []error
	where, err := url.Parse(u.URL)
	switch {
	case u.URL == "":
		errs = append(errs, errors.New("unsubscribe: url: missing; write where `sitrep serve` is reached, such as https://status.example.com/u/"))
	case err != nil || where.Scheme != "https" || where.Host == "" || where.User != nil || where.Fragment != "" ||
		strings.ContainsFunc(u.URL, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("<>,", r) }):
		errs = append(errs, errors.New("unsubscribe: url: it must be an https address such as https://status.example.com/u/ (RFC 8058 section 3.1)"))
	case !strings.HasSuffix(u.URL, "/") && !strings.HasSuffix(u.URL, "="):
		errs = append(errs, errors.New("unsubscribe: url: it must end in / (or in = for a parameter), for a token comes behind it"))
	}
	if len(u.Key.Reveal()) < minKey {
		errs = append(errs, fmt.Errorf("unsubscribe: key: it must have at least %d characters; make one with `openssl rand -base64 32`", minKey))
	}
	return errors.Join(errs...)
}
