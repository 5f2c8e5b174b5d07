package incident

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"strings"
)

// keyLength is how many characters of [a-z2-7] a content-derived key has: 130 bits.
const keyLength = 26

var (
	keyForm  = regexp.MustCompile(`^[!-~]{1,128}$`)
	frontKey = regexp.MustCompile(`^key[ \t]*:`)
)

// Key is the update's idempotency key: the key of the front matter if there is
// one, else 26 characters of [a-z2-7] derived from the text. Line ends, blank
// space at the ends of lines and around the text, a byte order mark and a page's
// footer do not matter to it; where the text came from and where it is sent do not
// either.
func (d Draft) Key() string {
	if keyForm.MatchString(d.Front.Key.Text) {
		return d.Front.Key.Text
	}
	return d.digest
}

func (d Draft) checkKey() Problems {
	k := d.Front.Key
	if k.Text == "" || keyForm.MatchString(k.Text) {
		return nil
	}
	return Problems{{
		k.Line, fmt.Sprintf("The key %q cannot be used.", short(k.Text)),
		"Write 1 to 128 printable ASCII characters without spaces, or remove it: a key is derived from the text.",
	}}
}

// derive makes the content-derived key from the lines that count.
func (r *reader) derive() {
	var text strings.Builder
	for i, l := range r.lines[:r.end] {
		if i < r.at && frontKey.MatchString(l) {
			continue // an unusable key changes nothing
		}
		text.WriteString(strings.TrimRight(l, " \t\u00a0"))
		text.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(strings.Trim(text.String(), "\n")))
	r.d.digest = strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:keyLength]
}
