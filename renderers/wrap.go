package renderers

import (
	"strings"
	"unicode"

	textwidth "golang.org/x/text/width"
)

// width is how many columns of a terminal or a fixed-width font s takes: two for
// wide East Asian characters and emoji, none for marks that combine and for what is
// invisible. (Unicode Standard Annex 11.)
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x7F:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), unicode.Is(unicode.Noncharacter_Code_Point, r):
		return 0
	}
	switch textwidth.LookupRune(r).Kind() {
	case textwidth.EastAsianWide, textwidth.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks one line of text into lines of at most cols columns, at spaces. A
// word that is longer stays whole (it may be an address), unless its script is
// written without spaces. Zero columns: no wrapping. Text of spaces is one empty
// line.
func wrap(s string, cols int) []string {
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(s) {
		for _, piece := range pieces(word, cols) {
			w := width(piece)
			if line != "" && cols > 0 && used+1+w > cols {
				lines, line, used = append(lines, line), "", 0
			}
			if line != "" {
				line, used = line+" ", used+1
			}
			line, used = line+piece, used+w
		}
	}
	return append(lines, line)
}

// pieces cuts a word that is too long for a line and has wide characters.
func pieces(word string, cols int) []string {
	if cols <= 1 || width(word) <= cols || !hasWide(word) {
		return []string{word}
	}
	var all []string
	var b strings.Builder
	used := 0
	for _, r := range word {
		w := runeWidth(r)
		if used+w > cols && w == 2 {
			all, used = append(all, b.String()), 0
			b.Reset()
		}
		b.WriteRune(r)
		used += w
	}
	return append(all, b.String())
}

func hasWide(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return runeWidth(r) == 2 })
}

// pad fills s with spaces to cols columns.
func pad(s string, cols int, align string) string {
	gap := max(0, cols-width(s))
	switch align {
	case "right":
		return strings.Repeat(" ", gap) + s
	case "center":
		return strings.Repeat(" ", gap/2) + s + strings.Repeat(" ", gap-gap/2)
	default:
		return s + strings.Repeat(" ", gap)
	}
}
