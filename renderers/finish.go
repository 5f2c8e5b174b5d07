package renderers

import (
	"regexp"
	"strings"
)

// finishText makes the lines of a text ready for the wire: no trailing spaces, no
// marks, one line feed at the end. With flowed it encodes format=flowed (RFC 3676):
// a line that goes on ends in a space, and a line that begins with a space, ">" or
// "From " gets one more in front.
func finishText(s string, flowed bool) string {
	s = strings.Trim(s, "\n")
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = finishLine(l, flowed)
	}
	return strings.Join(lines, "\n") + "\n"
}

func finishLine(l string, flowed bool) string {
	soft := strings.HasSuffix(l, string(markSoft))
	l = strings.ReplaceAll(l, string(markSoft), "")
	depth := 0
	for strings.HasPrefix(l, string(markQuote)) {
		l, depth = strings.TrimPrefix(l, string(markQuote)), depth+1
	}
	l = strings.TrimRight(strings.ReplaceAll(l, string(markQuote), "> "), " \t")
	switch {
	case depth > 0:
		l = strings.TrimRight(strings.Repeat(">", depth)+" "+l, " ")
	case flowed && stuffed(l):
		l = " " + l
	}
	if soft && flowed && l != "" {
		l += " "
	}
	return l
}

func stuffed(l string) bool {
	return strings.HasPrefix(l, " ") || strings.HasPrefix(l, ">") || strings.HasPrefix(l, "From ")
}

// Mentions of many people, in the spellings of the chat programs we know of.
var (
	massMention = regexp.MustCompile(`(?i)(^|[^\w.%+-])@(all|channel|here|everyone|room|team|group|online|stream|topic)\b`)
	slackSyntax = regexp.MustCompile(`<([!@#][\pL\pN])`)
)

// defuseMass stops what would call everybody wherever a text may end up, and leaves
// all else as it is.
func defuseMass(s string) string {
	if strings.IndexByte(s, '@') < 0 && strings.IndexByte(s, '<') < 0 {
		return s
	}
	s = slackSyntax.ReplaceAllString(s, "<"+zwsp+"$1")
	return massMention.ReplaceAllString(s, "$1@"+zwsp+"$2")
}

// defuseMentions stops every mention: a zero width space follows every "@".
func defuseMentions(s string) string {
	s = strings.ReplaceAll(s, "@"+zwsp, "@")
	return strings.ReplaceAll(s, "@", "@"+zwsp)
}

var (
	angle  = regexp.MustCompile(`<([!@#/:A-Za-z0-9])`)
	scheme = regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*):(//)`)
)

// finishChat stops all that some chat program would act on: mentions, <…> syntax,
// masked links, and links of unusual schemes.
func finishChat(s string) string {
	s = strings.TrimSpace(defuseMentions(finishText(s, false)))
	s = angle.ReplaceAllString(s, "<"+zwsp+"$1")
	s = strings.ReplaceAll(s, "](", "]"+zwsp+"(")
	return defuseSchemes(s)
}

// defuseSchemes keeps an address of a scheme that is not http or https from becoming
// a link by itself.
func defuseSchemes(s string) string {
	if !strings.Contains(s, "://") {
		return s
	}
	return scheme.ReplaceAllStringFunc(s, func(m string) string {
		name, _, _ := strings.Cut(strings.ToLower(m), ":")
		if name == "http" || name == "https" {
			return m
		}
		return strings.Replace(m, "://", ":"+zwsp+"//", 1)
	})
}
