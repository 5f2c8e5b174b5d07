package server

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sitrep/internal/secret"
)

var inputIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$`)

// skew is how far the clock of who signs may be off, as Standard Webhooks has it.
const skew = 5 * time.Minute

// authentic reports whether a request to an input comes from who knows its secret:
//
//   - signed as Standard Webhooks has it (webhook-id, webhook-timestamp,
//     webhook-signature; https://www.standardwebhooks.com), not older than five minutes;
//   - else signed with HMAC-SHA256 over the body, in hexadecimal, in
//     X-Hub-Signature-256, X-Sitrep-Signature or X-Grafana-Alerting-Signature, with or
//     without "sha256=" before it;
//   - else with the secret as a bearer token or a basic password, or as the last part
//     of the address.
//
// A request that is signed stands or falls with its signature.
func authentic(key secret.String, path string, h http.Header, body []byte, now time.Time) bool {
	if key.Empty() {
		return false
	}
	if h.Get("Webhook-Signature") != "" {
		return standard(key, h, body, now)
	}
	for _, name := range []string{"X-Hub-Signature-256", "X-Sitrep-Signature", "X-Grafana-Alerting-Signature"} {
		if sig := h.Get(name); sig != "" {
			got, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(sig), "sha256="))
			return err == nil && hmac.Equal(got, sum([]byte(key.Reveal()), body))
		}
	}
	if path != "" {
		return same(path, key)
	}
	return same(bearer(h), key)
}

// bearer is the credential in an Authorization header.
func bearer(h http.Header) string {
	r := http.Request{Header: h}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// same compares in constant time, also for texts of different length.
func same(got string, want secret.String) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want.Reveal()))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func sum(key []byte, parts ...[]byte) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

// standard checks a Standard Webhooks signature. A secret that begins with whsec_ is
// base64 of the key; any other is the key itself.
func standard(key secret.String, h http.Header, body []byte, now time.Time) bool {
	stamp, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || now.Sub(time.Unix(stamp, 0)).Abs() > skew || h.Get("Webhook-Id") == "" {
		return false
	}
	raw := []byte(key.Reveal())
	if b, ok := strings.CutPrefix(key.Reveal(), "whsec_"); ok {
		if raw, err = base64.StdEncoding.DecodeString(b); err != nil {
			return false
		}
	}
	want := sum(raw, []byte(h.Get("Webhook-Id")+"."+h.Get("Webhook-Timestamp")+"."), body)
	good := false
	for part := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		if sig, ok := strings.CutPrefix(part, "v1,"); ok {
			got, err := base64.StdEncoding.DecodeString(sig)
			good = good || err == nil && hmac.Equal(got, want)
		}
	}
	return good
}
