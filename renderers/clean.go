package renderers

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Marks are noncharacters (never legal in interchange, so [clean] can strip them
// from what people write) that an emitter leaves in its output for the finishing
// pass, which runs after the template: only there is the whole text known.
const (
	markCodeAt   = '\uFDD0' // "@" in code, where it mentions nobody and must stay copyable
	markCodeLess = '\uFDD1' // "<" in code
	markSoft     = '\uFDD2' // before a line feed: the paragraph goes on (format=flowed)
	markQuote    = '\uFDD3' // at the start of a line: one level of quoting
)

// zwsp separates what would otherwise act: U+200B after "@" stops a mention where
// a backslash does not.
const zwsp = "\u200b"

// clean makes text harmless to every format alike: valid UTF-8, line feeds only,
// no control characters, no noncharacters, no bidirectional overrides or isolates
// (which can make a text read as something else). Marks of direction that only
// inform (U+200E, U+200F) stay.
func clean(text string) string {
	if plainASCII(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	return strings.Map(cleanRune, text)
}

func cleanRune(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.Is(unicode.Cc, r), r == '\uFEFF', unicode.Is(unicode.Noncharacter_Code_Point, r):
		return -1
	case r >= '\u202A' && r <= '\u202E', r >= '\u2066' && r <= '\u2069':
		return -1
	}
	return r
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if c := text[i]; c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7F {
			return false
		}
	}
	return true
}

// oneLine is text cleaned and on one line, for names, titles and headings.
func oneLine(text string) string {
	return strings.Join(strings.Fields(clean(text)), " ")
}
