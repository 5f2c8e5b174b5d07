package config

import (
	"fmt"
	"strings"
	"unicode"
)

// controls finds the first character of s that would break a line or command a terminal;
// white space around s does not count. Such a character has no place in an
// address or a name, for headers of mail, logs and reports are made of them line by
// line: channels refuse it, or clean it away, when they send.
func controls(s string) (rune, bool) {
	for _, r := range strings.Trim(s, " \t") {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return r, true
		}
	}
	return 0, false
}

// oneLine refuses a text with such a character in it.
func (s spot) oneLine(value string) bool {
	r, found := controls(value)
	if !found {
		return true
	}
	what := fmt.Sprintf("the control character %U", r)
	switch r {
	case '\n', '\r', '\u0085', '\u2028', '\u2029':
		what = "a line break"
	case '\t':
		what = "a tab"
	}
	s.problem("must be one line of plain text, and "+s.shown+" has "+what+" in it.", "Write it without.")
	return false
}

// oneLine is the same for a value of the file. One that is refused is emptied.
func (t *text) oneLine(d *decoder, key string) {
	if !t.spot(d, key).oneLine(t.Value) {
		t.Value = ""
	}
}
