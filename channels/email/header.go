package email

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineLength is where header lines are folded (RFC 5322 section 2.1.1); maxWord is
// the length of an encoded word (RFC 2047 section 2).
const (
	lineLength = 76
	maxWord    = 75
)

// clean makes one line of valid UTF-8 without control characters of s, so that it can
// neither end a header nor disturb a terminal that shows it.
func clean(s string) string {
	if !strings.ContainsFunc(s, isControl) && utf8.ValidString(s) {
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		if isControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimSpace(s)
}

func isControl(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// appendText appends an unstructured header (Subject). s has been cleaned.
func appendText(dst []byte, name, s string) []byte {
	dst = append(append(dst, name...), ": "...)
	if isPlain(s) {
		dst = appendFolded(dst, s)
	} else {
		dst = appendEncoded(dst, s)
	}
	return append(dst, "\r\n"...)
}

// appendParty appends an address header (From, Reply-To, To). p.name has been
// cleaned, p.addr checked.
func appendParty(dst []byte, name string, p party) []byte {
	dst = append(append(dst, name...), ": "...)
	if p.name != "" {
		dst = appendPhrase(dst, p.name)
		if column(dst)+len(p.addr.spec)+3 > lineLength {
			dst = append(dst, "\r\n"...)
		}
		dst = append(dst, " <"...)
	}
	dst = append(dst, p.addr.spec...)
	if p.name != "" {
		dst = append(dst, '>')
	}
	return append(dst, "\r\n"...)
}

// appendPhrase appends a display name: as it is, in quotes, or encoded.
func appendPhrase(dst []byte, s string) []byte {
	special := strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && !isAtext(r) })
	switch {
	case !isPlain(s) || special && len(s) > lineLength-len("Reply-To: "):
		return appendEncoded(dst, s)
	case !special:
		return appendFolded(dst, s)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// isPlain reports whether s can stand in a header as it is: ASCII, nothing that
// decoders would take for an encoded word, no run of spaces that folding could lose,
// and no word too long for a line.
func isPlain(s string) bool {
	if !isASCII(s) || strings.Contains(s, "=?") || strings.Contains(s, "  ") {
		return false
	}
	for word := range strings.SplitSeq(s, " ") {
		if len(word) > lineLength-len("X: ")-10 {
			return false
		}
	}
	return true
}

// appendFolded appends plain words and folds before the line gets too long.
func appendFolded(dst []byte, s string) []byte {
	first := true
	for word := range strings.SplitSeq(s, " ") {
		if !first {
			if column(dst)+1+len(word) > lineLength {
				dst = append(dst, "\r\n"...)
			}
			dst = append(dst, ' ')
		}
		dst = append(dst, word...)
		first = false
	}
	return dst
}

// appendEncoded appends encoded words (RFC 2047), on lines of their own where
// there is more than one, in whichever of the two encodings is shorter.
func appendEncoded(dst []byte, s string) []byte {
	asQ := qLength(s) <= base64.StdEncoding.EncodedLen(len(s))
	for first := true; first || s != ""; first = false {
		if !first {
			dst = append(dst, "\r\n "...)
		}
		room := min(lineLength-column(dst), maxWord) - len("=?utf-8?q??=")
		n := fit(s, room, asQ)
		if asQ {
			dst = appendQ(append(dst, "=?utf-8?q?"...), s[:n])
		} else {
			dst = base64.StdEncoding.AppendEncode(append(dst, "=?utf-8?b?"...), []byte(s[:n]))
		}
		dst = append(dst, "?="...)
		s = s[n:]
	}
	return dst
}

// fit is how many bytes of s, in whole runes and at least one rune, fit into room
// bytes when encoded.
func fit(s string, room int, asQ bool) int {
	n := 0
	for n < len(s) {
		_, size := utf8.DecodeRuneInString(s[n:])
		need := base64.StdEncoding.EncodedLen(n + size)
		if asQ {
			need = qLength(s[:n+size])
		}
		if need > room && n > 0 {
			break
		}
		n += size
	}
	return n
}

// isQLiteral reports whether c stands for itself in the Q encoding wherever a
// word may be, a phrase included (RFC 2047 section 5, rule 3).
func isQLiteral(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '!' || c == '*' || c == '+' || c == '-' || c == '/' || c == ' '
}

func qLength(s string) int {
	n := len(s)
	for i := range len(s) {
		if !isQLiteral(s[i]) {
			n += 2
		}
	}
	return n
}

func appendQ(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case isQLiteral(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '=', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// column is the length of the line that dst ends in.
func column(dst []byte) int { return len(dst) - 1 - bytes.LastIndexByte(dst, '\n') }
