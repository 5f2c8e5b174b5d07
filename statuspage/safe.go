package statuspage

import (
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// newPolicy is what the body of an update may consist of: text, lists, tables,
// code and links. No image (it would tell a stranger who reads the page), no
// style, no class, no id.
func newPolicy() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "strong", "b", "em", "i", "s", "del", "code", "pre", "blockquote",
		"ul", "ol", "li", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6",
		"table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("align").Matching(bluemonday.CellAlign).OnElements("th", "td")
	p.AllowAttrs("start").Matching(bluemonday.Integer).OnElements("ol")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.AllowRelativeURLs(false)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	return p
}

// safe makes the body of a section fit to stand in the page below a heading of the
// given level: it is sanitised once more although the renderer did so; every
// element is closed, so that nothing reaches beyond the section; its headings are
// below the section's own; a wide table and long lines of code scroll by themselves.
func (s *site) safe(body, text string, level int) template.HTML {
	clean := s.policy.Sanitize(strings.Map(func(r rune) rune {
		if turnsText(r) {
			return -1
		}
		return r
	}, body))
	context := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div}
	nodes, err := html.ParseFragment(strings.NewReader(clean), context)
	if err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") // escaped
	}
	for _, n := range nodes {
		context.AppendChild(n)
	}
	fit(context, level)
	var out strings.Builder
	for n := range context.ChildNodes() {
		if err := html.Render(&out, n); err != nil {
			return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>") // escaped
		}
	}
	return template.HTML(out.String()) // sanitised above, and balanced by parsing
}

// fit lowers headings below level, gives each table a box that scrolls, and lets the
// keyboard reach it, as it does code.
func fit(parent *html.Node, level int) {
	for n := parent.FirstChild; n != nil; n = n.NextSibling {
		switch n.DataAtom {
		case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
			n.Data, n.DataAtom = lowered(level)
		case atom.Pre:
			n.Attr = reachable("Code")
		case atom.Table:
			n = boxed(n)
			fit(n.FirstChild, level)
			continue
		default:
		}
		fit(n, level)
	}
}

func lowered(level int) (string, atom.Atom) {
	name := "h" + string(rune('0'+min(level+1, 6)))
	return name, atom.Lookup([]byte(name))
}

// boxed puts a table into a box that can be scrolled by keyboard, and returns the
// box.
func boxed(table *html.Node) *html.Node {
	scroll := html.Attribute{Key: "class", Val: "scroll"}
	box := &html.Node{Type: html.ElementNode, Data: "div", DataAtom: atom.Div, Attr: append([]html.Attribute{scroll}, reachable("Table")...)}
	parent, next := table.Parent, table.NextSibling
	parent.RemoveChild(table)
	box.AppendChild(table)
	parent.InsertBefore(box, next)
	return box
}

// reachable are the attributes of a box that scrolls: the keyboard reaches it and a
// screen reader says what it is. It is a group and not a region, for a page may have
// many, and they are no landmarks of it.
func reachable(what string) []html.Attribute {
	return []html.Attribute{{Key: "role", Val: "group"}, {Key: "aria-label", Val: what}, {Key: "tabindex", Val: "0"}}
}
