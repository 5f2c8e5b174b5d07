package renderers

import (
	"encoding/json"
	stdhtml "html"
	"regexp"
	"slices"
	"strings"
	"unicode"

	xhtml "golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"sitrep/channels"
)

// guardTexts is every text of a message, normalised for scanning.
func guardTexts(m channels.Message) []string {
	all := guardStrings(m)
	for i, s := range all {
		all[i] = guardNormal(s)
	}
	return all
}

// guardStrings is every text of a message that its reader gets, HTML as its text
// and its attributes.
func guardStrings(m channels.Message) []string {
	all := []string{m.Subject, m.Text}
	all = append(all, guardHTML(m.HTML, 0)...)
	all = append(all, guardJSON(m.Payload)...)
	return slices.DeleteFunc(all, func(s string) bool { return strings.TrimSpace(s) == "" })
}

// guardJSON is every string in a JSON document, names of fields included. A field
// called "html" is read as HTML. A payload that is not JSON is read as it is.
func guardJSON(payload []byte) []string {
	if len(payload) == 0 {
		return nil
	}
	var doc any
	if json.Unmarshal(payload, &doc) != nil {
		return []string{string(payload)}
	}
	var all []string
	var walk func(field string, v any)
	walk = func(field string, v any) {
		switch v := v.(type) {
		case string:
			if field == "html" {
				all = append(all, guardHTML(v, 0)...)
				return
			}
			all = append(all, v)
		case []any:
			for _, e := range v {
				walk(field, e)
			}
		case map[string]any:
			for k, e := range v {
				all = append(all, k)
				walk(k, e)
			}
		}
	}
	walk("", doc)
	slices.Sort(all) // maps have no order, findings do
	return all
}

// guardHTML is what a reader of HTML gets: the running text with the tags of
// phrases taken out and those of blocks as line ends, and each attribute that is
// shown or followed. Comments are read too, for Outlook shows some of them.
func guardHTML(doc string, depth int) []string {
	if doc == "" || depth > 2 {
		return nil
	}
	var text strings.Builder
	var all []string
	skip := ""
	z := xhtml.NewTokenizer(strings.NewReader(doc))
	for {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			return append(all, text.String())
		}
		t := z.Token()
		switch {
		case kind == xhtml.EndTagToken && t.Data == skip:
			skip = ""
		case skip != "":
		case kind == xhtml.TextToken:
			text.WriteString(t.Data)
		case kind == xhtml.CommentToken:
			all = append(all, guardHTML(t.Data, depth+1)...)
		case kind == xhtml.StartTagToken && (t.Data == "style" || t.Data == "script"):
			skip = t.Data
		default:
			guardTag(t, &text, &all)
		}
	}
}

func guardTag(t xhtml.Token, text *strings.Builder, all *[]string) {
	switch t.Data {
	case "a", "abbr", "b", "bdi", "bdo", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s",
		"samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr":
	default:
		text.WriteByte('\n')
	}
	for _, a := range t.Attr {
		if slices.Contains([]string{"href", "src", "alt", "title", "aria-label", "content", "cite", "action"}, a.Key) {
			*all = append(*all, a.Val)
		}
	}
}

var guardEscape = regexp.MustCompile("\\\\([!-/:-@\\[-`{-~])")

// guardNormal is a text as it looks: entities and Markdown escapes resolved, NFKC,
// nothing invisible, one kind of dot, slash, colon, quotation mark and space. Lines
// stay lines.
func guardNormal(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n").Replace(strings.ToValidUTF8(text, "\ufffd"))
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = guardNormalLine(l)
	}
	return strings.Join(lines, "\n")
}

func guardNormalLine(l string) string {
	for range 2 { // an entity may have been escaped once more on the way
		l = guardEscape.ReplaceAllString(l, "$1")
		if strings.ContainsRune(l, '&') {
			l = stdhtml.UnescapeString(l)
		}
	}
	l = norm.NFKC.String(strings.Map(guardRune, l))
	l = strings.Map(guardRune, l) // NFKC can bring forth what the first pass looks for
	return guardEscape.ReplaceAllString(l, "$1")
}

// guardRune is a character as it looks; -1 for one that does not show.
func guardRune(r rune) rune {
	switch r {
	case '\n', '\r', '\t', '\v', '\f':
		return ' '
	case '\u3002', '\uff61', '\u2024', '\ufe52', '\u06d4', '\u0701', '\u0702', '\ua4f8', '\u00b7', '\u2027', '\u2219', '\u30fb':
		return '.'
	case '\u2044', '\u2215', '\u29f8':
		return '/'
	case '\u02d0', '\u2236', '\ua789':
		return ':'
	case '\u201c', '\u201d', '\u201e', '\u201f', '\u00ab', '\u00bb', '\u2033':
		return '"'
	case '\u2018', '\u2019', '\u201a', '\u201b', '\u2032':
		return '\''
	case '\u2010', '\u2011', '\u2012', '\u2212':
		return '-'
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u3164', '\uffa0', '\u2800':
		return -1
	}
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Variation_Selector, r),
		unicode.Is(unicode.Noncharacter_Code_Point, r):
		return -1
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

// guardSquash is a text for comparing: normalised, in lower case, without space,
// marks of emphasis or quoting.
func guardSquash(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || strings.ContainsRune("*_~`\\>|", r) {
			return -1
		}
		return unicode.ToLower(r)
	}, guardNormal(text))
}
