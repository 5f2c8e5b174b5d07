package renderers

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What Mattermost draws is close to GitHub's Markdown, with these differences that
// matter here: a line feed in a paragraph is a line break; a backslash does not stop
// a mention, but U+200B after the "@" does; and an incoming webhook first rewrites
// Slack's syntax (<!channel>, <@id>, <url|label>) anywhere in the text, code
// included. (server: notification.go, slack.go, outgoing webhook's
// linkWithTextRegex.)

func mattermostText(bs []block) string {
	return strings.Join(mattermostBlocks(bs), "\n")
}

func mattermostBlocks(bs []block) []string {
	var lines []string
	for i, b := range bs {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, mattermostBlock(b)...)
	}
	return lines
}

func mattermostBlock(b block) []string {
	switch b.kind {
	case heading:
		return []string{strings.Repeat("#", max(5, b.level)) + " " + strings.ReplaceAll(mattermostInlines(b.inlines), "\n", " ")}
	case code:
		return mattermostCode(b)
	case quote:
		return indent(mattermostBlocks(b.blocks), "> ", "> ")
	case list:
		return mattermostList(b)
	case table:
		return mattermostTable(b)
	case rule:
		return []string{"---"}
	default:
		return paragraphLines(mattermostInlines(b.inlines))
	}
}

func paragraphLines(s string) []string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = escapeLineStart(strings.TrimSpace(l))
	}
	return lines
}

func mattermostCode(b block) []string {
	fence := strings.Repeat("`", max(3, longestRun(b.code, '`')+1))
	lines := []string{fence + codeLanguage(b.lang)}
	lines = append(lines, strings.Split(markCode(b.code), "\n")...)
	return append(lines, fence)
}

var language = regexp.MustCompile(`^[A-Za-z0-9+#.-]{1,20}$`)

func codeLanguage(s string) string {
	if !language.MatchString(s) {
		return ""
	}
	return s
}

func mattermostList(b block) []string {
	var lines []string
	for i, it := range b.items {
		if i > 0 && b.loose {
			lines = append(lines, "")
		}
		mark := "- "
		if b.ordered {
			mark = strconv.Itoa(b.start+i) + ". "
		}
		lines = append(lines, indent(orEmpty(mattermostItem(it, b.loose)), mark, strings.Repeat(" ", len(mark)))...)
	}
	return lines
}

func mattermostItem(it item, loose bool) []string {
	if loose {
		return mattermostBlocks(it)
	}
	var lines []string
	for i, b := range it {
		if i > 0 && b.kind != list { // else it would be read as part of the paragraph
			lines = append(lines, "")
		}
		lines = append(lines, mattermostBlock(b)...)
	}
	return lines
}

func mattermostTable(b block) []string {
	var lines []string
	for i, row := range b.rows {
		cells := make([]string, len(row))
		for j, c := range row {
			cells[j] = mattermostCell(c)
		}
		lines = append(lines, "| "+strings.Join(cells, " | ")+" |")
		if i == 0 {
			lines = append(lines, delimiterRow(b.align))
		}
	}
	return lines
}

// mattermostCell is a cell's text on one line. A bar in code has to be escaped too.
func mattermostCell(c cell) string {
	in := make([]inline, len(c))
	copy(in, c)
	for i := range in {
		if in[i].kind == codeSpan {
			in[i].text = strings.ReplaceAll(in[i].text, "|", `\|`)
		}
	}
	return strings.ReplaceAll(mattermostInlines(in), "\n", " ")
}

func delimiterRow(align []string) string {
	cols := make([]string, len(align))
	for i, a := range align {
		cols[i] = map[string]string{"left": ":---", "center": ":---:", "right": "---:", "": "---"}[a]
	}
	return "| " + strings.Join(cols, " | ") + " |"
}

func mattermostInlines(all []inline) string {
	var b strings.Builder
	for _, in := range all {
		b.WriteString(mattermostInline(in))
	}
	return b.String()
}

func mattermostInline(in inline) string {
	switch in.kind {
	case words:
		return escapeMattermost(in.text)
	case codeSpan:
		return codeInLine(in.text)
	case strong:
		return around("**", in.kids)
	case emphasis:
		return around("*", in.kids)
	case struck:
		return around("~~", in.kids)
	case link:
		return mattermostLink(in)
	case checkbox:
		return "[" + pad(in.text, 1, "") + "] "
	default:
		return "\n"
	}
}

// around puts a mark around each line of some inlines.
func around(mark string, kids []inline) string {
	lines := strings.Split(mattermostInlines(kids), "\n")
	for i, l := range lines {
		if t := strings.TrimSpace(l); t != "" {
			lines[i] = strings.Replace(l, t, mark+t+mark, 1)
		}
	}
	return strings.Join(lines, "\n")
}

func codeInLine(s string) string {
	tick := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return tick + markCode(s) + tick
}

// mattermostLink is a link. A mail address stays text: it is defused like any "@".
func mattermostLink(in inline) string {
	label := strings.ReplaceAll(mattermostInlines(in.kids), "\n", " ")
	plain := plainText(in.kids)
	if strings.HasPrefix(in.url, "mailto:") {
		if bare(in.url) == plain {
			return label
		}
		return label + escapeMattermost(aside(in.title, bare(in.url)))
	}
	url := urlEscapes.Replace(in.url)
	if plain == in.url && url == in.url && in.title == "" {
		return url
	}
	return "[" + escapeBrackets(label) + "](" + url + ")" + escapeMattermost(aside(in.title))
}

var bracket = regexp.MustCompile(`\\?[\[\]]`)

// escapeBrackets keeps brackets in a link's text from ending it. Those in code need
// no escape and would show one.
func escapeBrackets(label string) string {
	if strings.Contains(label, "`") {
		return label
	}
	return bracket.ReplaceAllStringFunc(label, func(m string) string { return `\` + m[len(m)-1:] })
}

// urlEscapes keep an address from ending its link, mentioning anybody or becoming
// Slack's syntax.
var urlEscapes = strings.NewReplacer(
	"@", "%40", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "|", "%7C",
	" ", "%20", `"`, "%22", `\`, "%5C", "`", "%60", "*", "%2A", "[", "%5B", "]", "%5D",
)

func longestRun(s string, of rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != of {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// markCode marks what code keeps as it is, so that the finishing pass can tell. What
// would call everybody is stopped in code as well: nothing legitimate is lost.
func markCode(s string) string {
	s = defuseMass(s)
	return strings.NewReplacer("@", string(markCodeAt), "<", string(markCodeLess)).Replace(s)
}

var slackLink = regexp.MustCompile(`<([^<|]+\|[^>]+>)`)

// unmarkCode ends the marking of code. A "<" that a webhook would take for the start
// of a <url|label> becomes the full-width sign, which looks alike.
func unmarkCode(s string) string {
	s = strings.ReplaceAll(s, string(markCodeAt), "@")
	s = strings.ReplaceAll(s, string(markCodeLess), "<")
	for slackLink.MatchString(s) {
		s = slackLink.ReplaceAllString(s, "\uFF1C$1")
	}
	return s
}

// escapeMattermost escapes a text so that it reads as it is, with as few backslashes
// as that takes: notifications show them.
func escapeMattermost(s string) string {
	var b strings.Builder
	prev := ' '
	for i, r := range s {
		next, _ := utf8.DecodeRuneInString(s[i+utf8.RuneLen(r):])
		b.WriteString(escapedRune(s[i:], prev, r, next))
		prev = r
	}
	return defuseSchemes(b.String())
}

func escapedRune(rest string, prev, r, next rune) string {
	switch r {
	case '\\', '`', '*', '|':
		return `\` + string(r)
	case '[': // a box to tick
		if strings.HasPrefix(rest, "[ ]") || strings.HasPrefix(rest, "[x]") || strings.HasPrefix(rest, "[X]") {
			return `\[`
		}
	case ']': // the end of a link's text
		if next == '(' || next == '[' || next == ':' || next == utf8.RuneError {
			return `\]`
		}
	case '~': // a line through, or a link to a room
		if prev == '~' || next == '~' || alphanumeric(next) && !alphanumeric(prev) {
			return `\~`
		}
	case '_':
		if alphanumeric(prev) && alphanumeric(next) {
			return "_"
		}
		return `\_`
	case '#':
		if alphanumeric(next) && !alphanumeric(prev) {
			return `\#`
		}
	case '@':
		return "@" + zwsp
	case '<':
		return "&lt;"
	case '&':
		if entity.MatchString(rest) {
			return "&amp;"
		}
	}
	return string(r)
}

func alphanumeric(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

var lineStart = regexp.MustCompile(`^(#{1,6}(?:\s|$)|[>+=-]|\d{1,9}([.)])(?:\s|$))`)

// escapeLineStart escapes what begins a block where it stands at the start of a line.
func escapeLineStart(l string) string {
	m := lineStart.FindStringSubmatchIndex(l)
	switch {
	case m == nil:
		return l
	case m[4] >= 0: // "1." or "1)": before the sign, not the digit
		return l[:m[4]] + `\` + l[m[4]:]
	default:
		return `\` + l
	}
}
