package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// signer makes one DKIM signature (RFC 6376), relaxed/relaxed. It is made here and not
// by a library for two reasons: the time in it is the message's own, so that every
// attempt is byte for byte the same; and the body, which all recipients of a rendering
// share, is hashed once. It is safe for concurrent use.
type signer struct {
	domain, selector, algorithm string
	key                         crypto.Signer
	hash                        crypto.Hash // what key signs: a digest, or for Ed25519 the text itself
}

// signedOnce are the headers that are signed if they are there. signedTwice are signed
// once more than they are there, so that adding one breaks the signature (RFC 6376
// section 8.15): those that decide what a reader sees and whom an answer or an
// unsubscription reaches.
var (
	signedOnce  = []string{"In-Reply-To", "References", "Thread-Topic", "Thread-Index", "Auto-Submitted", "MIME-Version", "Content-Transfer-Encoding"}
	signedTwice = []string{
		"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Content-Type",
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
	}
)

func (s *settings) checkDKIM() error {
	var errs []error
	for i, d := range s.DKIM {
		sig, err := d.signer(s.from.addr.domain)
		for _, err := range unjoin(err) {
			errs = append(errs, fmt.Errorf("dkim: signature %d: %w", i+1, err))
		}
		s.signers = append(s.signers, sig)
	}
	return errors.Join(errs...)
}

func (d DKIM) signer(domain string) (signer, error) {
	s := signer{domain: domain, selector: d.Selector}
	var errs []error
	if d.Domain != "" {
		ascii, err := hostName(d.Domain)
		if err != nil {
			errs = append(errs, fmt.Errorf("domain: %w", err))
		}
		s.domain = ascii
	}
	if d.Selector == "" {
		errs = append(errs, errors.New("selector: missing; it names the key in DNS, at SELECTOR._domainkey."+s.domain))
	} else if _, err := hostName(d.Selector + ".example"); err != nil {
		errs = append(errs, fmt.Errorf("selector: %q cannot be part of a name in DNS", d.Selector))
	}
	key, err := parseKey(d.Key.Reveal())
	if err != nil {
		errs = append(errs, fmt.Errorf("key: %w", err))
	}
	s.key = key
	switch k := key.(type) {
	case *rsa.PrivateKey:
		s.algorithm, s.hash = "rsa-sha256", crypto.SHA256
		if k.N.BitLen() < 1024 {
			errs = append(errs, fmt.Errorf("key: RSA of %d bits is not accepted by verifiers; use 2048 (RFC 8301)", k.N.BitLen()))
		}
	case ed25519.PrivateKey:
		s.algorithm = "ed25519-sha256"
	}
	return s, errors.Join(errs...)
}

// parseKey reads a private key. Nothing of it is repeated in an error.
func parseKey(text string) (crypto.Signer, error) {
	if text == "" {
		return nil, errors.New("missing; name the file of the private key with key_file")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("it is not PEM, beginning with -----BEGIN PRIVATE KEY-----")
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the PEM block %q is not a private key without a passphrase (PKCS #8, or PKCS #1 for RSA)", clip(clean(block.Type)))
	}
	switch k := k.(type) {
	case *rsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errors.New("it is neither an RSA nor an Ed25519 key, and DKIM knows no others")
}

// signable is a rendering as signatures see it.
type signable struct {
	headers  []byte // its own headers
	bodyHash string
}

// newSignable splits a message at its first empty line.
func newSignable(tail []byte) signable {
	headers, body, _ := bytes.Cut(tail, []byte("\r\n\r\n"))
	sum := sha256.Sum256(relaxedBody(body))
	return signable{headers: append(slices.Clip(headers), "\r\n"...), bodyHash: base64.StdEncoding.EncodeToString(sum[:])}
}

// sign puts the signatures in front of a recipient's headers.
func sign(signers []signer, head []byte, rest signable, unix int64) ([]byte, error) {
	if len(signers) == 0 {
		return head, nil
	}
	there := relaxedHeaders(head)
	for name, h := range relaxedHeaders(rest.headers) {
		there[name] = h
	}
	var dst []byte
	for _, s := range signers {
		field, err := s.field(there, rest.bodyHash, unix)
		if err != nil {
			return nil, fmt.Errorf("the DKIM signature with the selector %s cannot be made: %w", s.selector, err)
		}
		dst = append(dst, field...)
	}
	return append(dst, head...), nil
}

// field is the whole header (RFC 6376 section 3.5).
func (s signer) field(there map[string]string, bodyHash string, unix int64) (string, error) {
	var names []string
	var text strings.Builder
	include := func(name string, extra bool) {
		h, ok := there[strings.ToLower(name)]
		if ok {
			names = append(names, name)
			text.WriteString(h)
		}
		if extra {
			names = append(names, name)
		}
	}
	for _, name := range signedTwice {
		include(name, true)
	}
	for _, name := range signedOnce {
		include(name, false)
	}
	field := "DKIM-Signature: v=1; a=" + s.algorithm + "; c=relaxed/relaxed; d=" + s.domain + ";\r\n" +
		" s=" + s.selector + "; t=" + strconv.FormatInt(unix, 10) + ";\r\n" +
		" h=" + strings.Join(names, ":\r\n  ") + ";\r\n" +
		" bh=" + bodyHash + ";\r\n b="
	text.WriteString(strings.TrimSuffix(relaxedHeader(field), "\r\n"))
	digest := sha256.Sum256([]byte(text.String()))
	sig, err := s.key.Sign(rand.Reader, digest[:], s.hash)
	if err != nil {
		return "", err
	}
	return field + folded(base64.StdEncoding.EncodeToString(sig)) + "\r\n", nil
}

// folded breaks a long value into lines.
func folded(s string) string {
	const width = 70
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + "\r\n  ")
		s = s[width:]
	}
	b.WriteString(s)
	return b.String()
}

// relaxedHeaders is the relaxed form of every header, by its name in small letters.
// None of ours is there twice.
func relaxedHeaders(headers []byte) map[string]string {
	all := map[string]string{}
	var field strings.Builder
	flush := func() {
		if name, _, ok := strings.Cut(field.String(), ":"); ok {
			all[strings.ToLower(name)] = relaxedHeader(field.String())
		}
		field.Reset()
	}
	for line := range strings.Lines(string(headers)) {
		if line[0] != ' ' && line[0] != '\t' {
			flush()
		}
		field.WriteString(line)
	}
	flush()
	return all
}

// relaxedHeader is RFC 6376 section 3.4.2.
func relaxedHeader(field string) string {
	name, value, _ := strings.Cut(field, ":")
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + strings.Join(words, " ") + "\r\n"
}

// relaxedBody is RFC 6376 section 3.4.4.
func relaxedBody(body []byte) []byte {
	dst := make([]byte, 0, len(body)+2)
	for line := range bytes.Lines(body) {
		space := false
		for _, c := range bytes.TrimRight(line, " \t\r\n") {
			if c == ' ' || c == '\t' {
				space = true
				continue
			}
			if space {
				dst = append(dst, ' ')
				space = false
			}
			dst = append(dst, c)
		}
		dst = append(dst, "\r\n"...)
	}
	for bytes.HasSuffix(dst, []byte("\r\n\r\n")) {
		dst = dst[:len(dst)-2]
	}
	if string(dst) == "\r\n" {
		return nil
	}
	return dst
}
