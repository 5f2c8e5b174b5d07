package maildns

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dkimRecord is a key record (RFC 6376 section 3.6.1).
type dkimRecord struct {
	kind    string // rsa or ed25519
	key     []byte // as published; empty: revoked
	testing bool
	hashes  []string // empty: any
	usage   []string // empty: any
}

func parseDKIM(txt string) (dkimRecord, error) {
	t, err := parseTags(txt)
	if err != nil {
		return dkimRecord{}, err
	}
	if t.has("v") && (t[0].name != "v" || t[0].value != "DKIM1") {
		return dkimRecord{}, errors.New("v=DKIM1 must stand first")
	}
	if !t.has("p") {
		return dkimRecord{}, errors.New("it holds no key (p=)")
	}
	r := dkimRecord{kind: strings.ToLower(t.get("k", "rsa"))}
	r.key, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(t.get("p", "")), ""))
	if err != nil {
		return r, errors.New("the key (p=) is not base64")
	}
	r.testing = slices.Contains(words(t.get("t", "")), "y")
	if t.has("h") {
		r.hashes = words(t.get("h", ""))
	}
	if t.has("s") {
		r.usage = words(t.get("s", ""))
	}
	return r, nil
}

// same reports whether the record holds a public key.
func (r dkimRecord) same(public any) bool {
	switch k := public.(type) {
	case *rsa.PublicKey:
		got, err := rsaKey(r.key)
		return r.kind == "rsa" && err == nil && got.Equal(k)
	case ed25519.PublicKey:
		return r.kind == "ed25519" && k.Equal(ed25519.PublicKey(r.key))
	}
	return false
}

// rsaKey reads what RFC 6376 says (RSAPublicKey) and what everybody publishes
// (SubjectPublicKeyInfo; its erratum 3017).
func rsaKey(der []byte) (*rsa.PublicKey, error) {
	if k, err := x509.ParsePKCS1PublicKey(der); err == nil {
		return k, nil
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, err
	}
	k, ok := any.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("it is not an RSA key")
	}
	return k, nil
}

// recordOf is the record that a key needs, or empty for a key of another kind.
func recordOf(public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(k)
		if err != nil {
			return ""
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k)
	}
	return ""
}

// dkim judges the record of every key.
func (c *check) dkim() {
	if len(c.mail.Keys) == 0 {
		c.add(Finding{
			Subject: "DKIM", Name: c.mail.From, Level: Unknown,
			What:   "No signature is configured here. Whether the relay signs cannot be told from here.",
			Remedy: "Look for DKIM-Signature in a mail that arrived. If there is none, have the relay sign, or configure dkim.",
		})
	}
	for _, k := range c.mail.Keys {
		c.dkimKey(k)
	}
}

func (c *check) dkimKey(k Key) {
	name := fold(k.Selector) + "._domainkey." + fold(k.Domain)
	all, err := c.txt(name)
	if err != nil {
		c.trouble("DKIM", name, err)
		return
	}
	f := Finding{Subject: "DKIM", Name: name, Level: Wrong, Publish: zoneLine(name, recordOf(k.Public)), Record: strings.Join(all, "\n")}
	switch len(all) {
	case 0:
		f.What, f.Remedy = "There is no key record, so no receiver can verify the signature.", "Publish it."
	case 1:
		c.judgeKey(&f, k, all[0])
	default:
		f.What, f.Remedy = fmt.Sprintf("There are %d records, and receivers may take any of them (RFC 6376 section 3.6.2.2).", len(all)), "Keep this one."
	}
	if f.Level == OK || f.Level == Note {
		f.Publish = ""
		c.good = append(c.good, k)
	}
	c.add(f)
}

func (c *check) judgeKey(f *Finding, k Key, txt string) {
	r, err := parseDKIM(txt)
	f.Remedy = "Publish this instead."
	switch {
	case err != nil:
		f.What = "The record cannot be read: " + err.Error() + "."
	case len(r.key) == 0:
		f.What, f.Remedy = "The key is revoked (p= is empty).", "Make a new key with a new selector; publish this only if it was revoked by mistake."
	case !r.same(k.Public):
		f.What = "The record holds another key than the one that the mail is signed with, so every signature fails."
	case r.hashes != nil && !slices.Contains(r.hashes, "sha256"):
		f.What = "The record does not permit SHA-256 (h=), by which the mail is signed."
	case r.usage != nil && !slices.Contains(r.usage, "*") && !slices.Contains(r.usage, "email"):
		f.What = "The record is not for e-mail (s=)."
	default:
		c.judgeStrength(f, k, r.testing)
	}
}

// judgeStrength judges a record that is right (RFC 8301 section 3.2).
func (c *check) judgeStrength(f *Finding, k Key, testing bool) {
	f.Level, f.Remedy = OK, ""
	f.What = "The record is there and holds the key that the mail is signed with (Ed25519)."
	if rsa, ok := k.Public.(*rsa.PublicKey); ok {
		bits := rsa.N.BitLen()
		f.What = fmt.Sprintf("The record is there and holds the key that the mail is signed with (RSA, %d bits).", bits)
		switch {
		case bits < 1024:
			f.Level, f.What = Wrong, fmt.Sprintf("The key has %d bits, and receivers accept none below 1024 (RFC 8301).", bits)
			f.Remedy, f.Publish = "Make one of 2048 bits with a new selector.", ""
			return
		case bits < 2048:
			f.Level, f.Remedy = Note, "Make one of 2048 bits with a new selector (RFC 8301)."
		}
	} else if !slices.ContainsFunc(c.mail.Keys, isRSA) {
		f.Level, f.What = Note, f.What+" Few receivers verify Ed25519 yet."
		f.Remedy = "Sign with RSA as well."
	}
	if testing {
		f.Level, f.What = Note, f.What+" It says t=y, testing: receivers treat the mail as not signed."
		f.Remedy = "Take t=y out once signatures verify."
	}
}

func isRSA(k Key) bool {
	_, ok := k.Public.(*rsa.PublicKey)
	return ok
}
