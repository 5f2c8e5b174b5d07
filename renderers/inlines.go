package renderers

import (
	"bytes"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
)

func (c *converter) inlines(parent ast.Node, depth int) []inline {
	var all []inline
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		for _, in := range c.inline(n, depth) {
			all = appendInline(all, in)
		}
	}
	return all
}

// appendInline joins neighbouring words, which the parser leaves in pieces, so that
// whoever escapes them sees what stands next to what.
func appendInline(all []inline, in inline) []inline {
	if in.kind == words && in.text == "" {
		return all
	}
	if n := len(all); n > 0 && in.kind == words && all[n-1].kind == words {
		all[n-1].text += in.text
		return all
	}
	return append(all, in)
}

func (c *converter) inline(n ast.Node, depth int) []inline {
	switch n := n.(type) {
	case *ast.Text:
		return c.words(n)
	case *ast.String:
		return []inline{{text: clean(string(n.Value))}}
	case *ast.CodeSpan:
		return []inline{{kind: codeSpan, text: c.code(n)}}
	case *ast.Emphasis:
		kind := emphasis
		if n.Level == 2 {
			kind = strong
		}
		return c.wrap(kind, n, depth)
	case *extast.Strikethrough:
		return c.wrap(struck, n, depth)
	case *ast.Link:
		return c.link(n, n.Destination, n.Title, depth)
	case *ast.Image:
		return c.link(n, n.Destination, n.Title, depth)
	case *ast.AutoLink:
		return c.autoLink(n)
	case *extast.TaskCheckBox:
		return []inline{{kind: checkbox, text: strings.Repeat("x", btoi(n.IsChecked))}}
	default:
		return c.inlines(n, depth+1)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *converter) wrap(kind inlineKind, n ast.Node, depth int) []inline {
	kids := c.inlines(n, depth+1)
	if depth >= deepest || len(kids) == 0 {
		return kids
	}
	return []inline{{kind: kind, kids: kids}}
}

func (c *converter) words(n *ast.Text) []inline {
	raw := n.Segment.Value(c.src)
	t := string(raw)
	if !n.IsRaw() {
		t = unescape(raw)
	}
	in := []inline{{text: strings.ReplaceAll(t, "\n", " ")}}
	switch {
	case n.HardLineBreak():
		return append(in, inline{kind: lineBreak})
	case n.SoftLineBreak() && c.meant(n.Segment.Stop):
		return append(in, inline{kind: lineBreak})
	case n.SoftLineBreak():
		return append(in, inline{text: " "})
	}
	return in
}

// wrapped is the width from which an editor or a person breaks a line because it is
// full.
const wrapped = 60

// meant reports whether the line break after position at was meant as one. Authors
// know from chat that a line they end is ended, and from mail that a full line goes
// on: so a break is kept unless the next word would not have fitted on the line.
func (c *converter) meant(at int) bool {
	start := bytes.LastIndexByte(c.src[:at], '\n') + 1
	line := strings.TrimSpace(string(c.src[start:at]))
	_, rest, _ := strings.Cut(string(c.src[at:min(len(c.src), at+1024)]), "\n")
	next, _, _ := strings.Cut(rest, "\n")
	first := ""
	if f := strings.Fields(next); len(f) > 0 {
		first = f[0]
	}
	return width(line)+1+width(first) <= wrapped
}

func (c *converter) code(n ast.Node) string {
	var b strings.Builder
	for k := n.FirstChild(); k != nil; k = k.NextSibling() {
		if t, ok := k.(*ast.Text); ok {
			b.Write(t.Segment.Value(c.src))
		}
	}
	return strings.ReplaceAll(b.String(), "\n", " ")
}

// link is a link or, where a reader must not be led there, its text and address as
// text. An image is a link: nothing is loaded from elsewhere to read an update.
func (c *converter) link(n ast.Node, dest, linkTitle []byte, depth int) []inline {
	kids, address := c.inlines(n, depth+1), oneLine(unescape(dest))
	name := oneLine(unescape(linkTitle))
	if len(kids) == 0 {
		kids = []inline{{text: address}}
	}
	to, ok := safeURL(address)
	if !ok || depth >= deepest {
		return append(kids, inline{text: aside(address, name)})
	}
	if masks(plainText(kids), to) {
		kids = append(kids, inline{text: " [" + host(to) + "]"})
	}
	return []inline{{kind: link, url: to, title: name, kids: kids}}
}

func aside(parts ...string) string {
	s := strings.TrimSpace(strings.Join(parts, " "))
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func (c *converter) autoLink(n *ast.AutoLink) []inline {
	label := clean(string(n.Label(c.src)))
	to := string(n.URL(c.src))
	if n.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(to), "mailto:") {
		to = "mailto:" + to
	}
	to, ok := safeURL(to)
	if !ok {
		return []inline{{text: label}}
	}
	return []inline{{kind: link, url: to, kids: []inline{{text: label}}}}
}

// masks reports whether a link's text names another host than the link leads to.
func masks(label, to string) bool {
	label = strings.TrimSpace(label)
	if !strings.Contains(label, "://") {
		if !strings.HasPrefix(strings.ToLower(label), "www.") {
			return false
		}
		label = "http://" + label
	}
	shown := host(label)
	return shown != "" && !strings.EqualFold(shown, host(to))
}

// plainText is the words of inlines without their markup.
func plainText(all []inline) string {
	var b strings.Builder
	for _, in := range all {
		switch in.kind {
		case words, codeSpan:
			b.WriteString(in.text)
		case lineBreak:
			b.WriteByte('\n')
		default:
			b.WriteString(plainText(in.kids))
		}
	}
	return b.String()
}
