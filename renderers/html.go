package renderers

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/microcosm-cc/bluemonday"
)

// htmlWriter writes a document as HTML.
type htmlWriter struct {
	b strings.Builder

	// attrs is what an element gets, with a leading space: nothing on the status
	// page, which has a style sheet; class and style in e-mail.
	attrs map[string]string
	depth int // of lists
}

// htmlOf writes blocks as HTML and passes them through the sanitiser, the second
// net below an emitter that escapes everything.
func htmlOf(bs []block, attrs map[string]string, net *bluemonday.Policy) string {
	w := &htmlWriter{attrs: attrs}
	w.blocks(bs)
	return net.Sanitize(w.b.String())
}

func (w *htmlWriter) open(tag, more string) {
	w.b.WriteString("<" + tag + w.attrs[tag] + more + ">")
}

func (w *htmlWriter) close(tag string) { w.b.WriteString("</" + tag + ">") }

// line begins a new line where that means nothing: mail carries none of more than 998 octets
// as it is (RFC 5322 section 2.1.1).
func (w *htmlWriter) line() { w.b.WriteByte('\n') }

func (w *htmlWriter) text(s string) { w.b.WriteString(html.EscapeString(s)) }

func (w *htmlWriter) blocks(bs []block) {
	for _, b := range bs {
		w.block(b)
		w.line()
	}
}

func (w *htmlWriter) block(b block) {
	switch b.kind {
	case heading:
		w.wrap("h"+strconv.Itoa(min(6, max(3, b.level))), b.inlines)
	case code:
		w.open("pre", "")
		w.text(b.code)
		w.close("pre")
	case quote:
		w.open("blockquote", "")
		w.blocks(b.blocks)
		w.close("blockquote")
	case list:
		w.list(b)
	case table:
		w.table(b)
	case rule:
		w.open("hr", "")
	default:
		w.wrap("p", b.inlines)
	}
}

func (w *htmlWriter) wrap(tag string, in []inline) {
	w.open(tag, "")
	w.inlines(in)
	w.close(tag)
}

func (w *htmlWriter) list(b block) {
	tag, start := "ul", ""
	if b.ordered {
		tag = "ol"
		if b.start != 1 {
			start = ` start="` + strconv.Itoa(b.start) + `"`
		}
	}
	if w.depth > 0 && w.attrs["nested"] != "" {
		w.b.WriteString("<" + tag + w.attrs["nested"] + start + ">")
	} else {
		w.open(tag, start)
	}
	w.depth++
	for _, it := range b.items {
		w.line()
		w.open("li", "")
		w.item(it, b.loose)
		w.close("li")
	}
	w.line()
	w.depth--
	w.close(tag)
}

// item is a list item; in a tight list its paragraphs are bare lines.
func (w *htmlWriter) item(it item, loose bool) {
	for i, b := range it {
		if b.kind != paragraph || loose {
			w.block(b)
			continue
		}
		if i > 0 {
			w.b.WriteString("<br>")
		}
		w.inlines(b.inlines)
	}
}

func (w *htmlWriter) table(b block) {
	w.open("div", "") // scrolls where the table is too wide
	w.open("table", "")
	for i, row := range b.rows {
		section, tag := "", "td"
		switch i {
		case 0:
			section, tag = "thead", "th"
		case 1:
			section = "tbody"
		}
		w.line()
		if section != "" {
			w.b.WriteString("<" + section + ">")
		}
		w.row(row, tag, b.align)
		if i == 0 {
			w.close("thead")
		} else if i == len(b.rows)-1 {
			w.close("tbody")
		}
	}
	w.close("table")
	w.close("div")
}

func (w *htmlWriter) row(row []cell, tag string, align []string) {
	w.open("tr", "")
	for i, c := range row {
		if i > 0 {
			w.line()
		}
		more := ""
		if tag == "th" {
			more = ` align="left"`
		}
		if i < len(align) && align[i] != "" {
			more = ` align="` + align[i] + `"`
		}
		w.open(tag, more)
		w.inlines(c)
		w.close(tag)
	}
	w.close("tr")
}

func (w *htmlWriter) inlines(all []inline) {
	for _, in := range all {
		w.inline(in)
	}
}

func (w *htmlWriter) inline(in inline) {
	switch in.kind {
	case words:
		w.text(in.text)
	case codeSpan:
		w.open("code", "")
		w.text(in.text)
		w.close("code")
	case strong:
		w.wrap("strong", in.kids)
	case emphasis:
		w.wrap("em", in.kids)
	case struck:
		w.wrap("s", in.kids)
	case link:
		w.link(in)
	case lineBreak:
		w.b.WriteString("<br>")
	case checkbox:
		w.text(map[bool]string{true: "☑ ", false: "☐ "}[in.text == "x"])
	}
}

func (w *htmlWriter) link(in inline) {
	more := ` href="` + html.EscapeString(in.url) + `"`
	if in.title != "" {
		more += ` title="` + html.EscapeString(in.title) + `"`
	}
	w.open("a", more)
	w.inlines(in.kids)
	w.close("a")
}

// elements are all the emitter writes.
func elements() []string {
	return []string{
		"p", "h3", "h4", "h5", "h6", "pre", "code", "blockquote", "ul", "ol", "li", "hr", "br",
		"div", "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "s", "a",
	}
}

// net is a sanitiser that lets through what the emitter writes and nothing else:
// the styles of attrs word for word, and addresses of http, https and mailto.
func net(attrs map[string]string) *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(elements()...)
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.RequireParseableURLs(true)
	p.AllowAttrs("title").OnElements("a")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("td", "th")
	for _, name := range []string{"style", "class", "cellpadding", "cellspacing", "border", "width"} {
		if values := valuesOf(attrs, name); len(values) > 0 {
			p.AllowAttrs(name).Matching(oneOf(values)).OnElements(elements()...)
		}
	}
	return p
}

var attribute = regexp.MustCompile(`([a-z]+)="([^"]*)"`)

func valuesOf(attrs map[string]string, name string) []string {
	var values []string
	for _, a := range attrs {
		for _, m := range attribute.FindAllStringSubmatch(a, -1) {
			if m[1] == name {
				values = append(values, m[2])
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

func oneOf(values []string) *regexp.Regexp {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = regexp.QuoteMeta(v)
	}
	return regexp.MustCompile("^(?:" + strings.Join(quoted, "|") + ")$")
}
