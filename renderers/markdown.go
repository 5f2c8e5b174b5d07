package renderers

import (
	"bytes"
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// A section is parsed once, into a small tree that every format walks. All that is
// hostile or merely odd is settled here: text is clean and unescaped, HTML is text,
// images are links, and a link has an address that is safe to follow.

type blockKind int

const (
	paragraph blockKind = iota
	heading
	code
	quote
	list
	table
	rule
)

// block is one block of a document.
type block struct {
	kind    blockKind
	level   int      // heading: 1 to 6
	inlines []inline // paragraph, heading
	code    string   // code, without the last line feed
	lang    string   // code: the info string's first word
	blocks  []block  // quote
	items   []item   // list
	ordered bool
	start   int  // number of the first item
	loose   bool // list: items stand apart
	rows    [][]cell
	align   []string // table: "left", "center", "right" or ""
}

type item []block

type cell []inline

type inlineKind int

const (
	words inlineKind = iota
	codeSpan
	strong
	emphasis
	struck
	link
	lineBreak
	checkbox // of a task; text is "x" if it is done
)

// inline is a piece of a line.
type inline struct {
	kind  inlineKind
	text  string // words, codeSpan
	url   string // link: http, https or mailto
	title string
	kids  []inline
}

// deepest is how far blocks and inlines nest; what is nested deeper is kept, flat.
const deepest = 8

// newParser reads GitHub's Markdown without HTML: what looks like a tag is text.
func newParser() parser.Parser {
	p := parser.NewParser(
		parser.WithBlockParsers(without(parser.DefaultBlockParsers(), parser.NewHTMLBlockParser())...),
		parser.WithInlineParsers(without(parser.DefaultInlineParsers(), parser.NewRawHTMLParser())...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	)
	p.AddOptions(
		parser.WithParagraphTransformers(util.Prioritized(extension.NewTableParagraphTransformer(), 200)),
		parser.WithASTTransformers(util.Prioritized(extension.NewTableASTTransformer(), 0)),
		parser.WithInlineParsers(
			util.Prioritized(struckParser{extension.NewStrikethroughParser()}, 500),
			util.Prioritized(extension.NewTaskCheckBoxParser(), 0),
			util.Prioritized(extension.NewLinkifyParser(), 999),
		),
	)
	return p
}

// struckParser strikes text out between two tildes only: "~5 to ~10 minutes" are
// numbers.
type struckParser struct{ parser.InlineParser }

func (p struckParser) Parse(parent ast.Node, r text.Reader, c parser.Context) ast.Node {
	if line, _ := r.PeekLine(); !bytes.HasPrefix(line, []byte("~~")) {
		return nil
	}
	return p.InlineParser.Parse(parent, r, c)
}

func without(all []util.PrioritizedValue, unwanted any) []util.PrioritizedValue {
	var kept []util.PrioritizedValue
	for _, v := range all {
		if v.Value != unwanted {
			kept = append(kept, v)
		}
	}
	return kept
}

// parseMarkdown reads a section with a parser of newParser's.
func parseMarkdown(p parser.Parser, body string) []block {
	c := &converter{src: []byte(clean(body)), used: map[string]bool{}}
	root := p.Parse(text.NewReader(c.src))
	c.note(root)
	return c.blocks(root, 0)
}

type converter struct {
	src  []byte
	used map[string]bool // labels of link reference definitions that a link uses
}

// note remembers which reference definitions are shown where they are used.
func (c *converter) note(root ast.Node) {
	_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if l, ok := n.(*ast.Link); ok && entering && l.Reference != nil {
			c.used[util.ToLinkReference(l.Reference.Value)] = true
		}
		if l, ok := n.(*ast.Image); ok && entering && l.Reference != nil {
			c.used[util.ToLinkReference(l.Reference.Value)] = true
		}
		return ast.WalkContinue, nil
	})
}

func (c *converter) blocks(parent ast.Node, depth int) []block {
	var all []block
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		all = append(all, c.block(n, depth)...)
	}
	return all
}

func (c *converter) block(n ast.Node, depth int) []block {
	switch n := n.(type) {
	case *ast.Heading:
		return []block{{kind: heading, level: n.Level, inlines: c.inlines(n, 0)}}
	case *ast.ThematicBreak:
		return []block{{kind: rule}}
	case *ast.FencedCodeBlock:
		return []block{{kind: code, lang: c.codeLang(n), code: c.lines(n)}}
	case *ast.CodeBlock:
		return []block{{kind: code, code: c.lines(n)}}
	case *ast.Blockquote:
		return c.quote(n, depth)
	case *ast.List:
		return c.list(n, depth)
	case *extast.Table:
		return []block{c.table(n)}
	case *ast.LinkReferenceDefinition:
		return c.definition(n)
	default:
		return c.paragraph(n)
	}
}

func (c *converter) paragraph(n ast.Node) []block {
	in := c.inlines(n, 0)
	if len(in) == 0 {
		return nil
	}
	return []block{{kind: paragraph, inlines: in}}
}

func (c *converter) quote(n ast.Node, depth int) []block {
	kids := c.blocks(n, depth+1)
	if depth >= deepest || len(kids) == 0 {
		return kids
	}
	return []block{{kind: quote, blocks: kids}}
}

func (c *converter) list(n *ast.List, depth int) []block {
	b := block{kind: list, ordered: n.IsOrdered(), start: n.Start, loose: !n.IsTight}
	var flat []block
	for i := n.FirstChild(); i != nil; i = i.NextSibling() {
		kids := c.blocks(i, depth+1)
		flat = append(flat, kids...)
		b.items = append(b.items, kids)
	}
	if depth >= deepest {
		return flat
	}
	return []block{b}
}

// definition keeps the text of a reference nobody refers to: "[note]: see" is more
// likely a sentence than a definition.
func (c *converter) definition(n *ast.LinkReferenceDefinition) []block {
	if c.used[util.ToLinkReference(n.Label)] {
		return nil
	}
	s := "[" + string(n.Label) + "]: " + string(n.Destination)
	if len(n.Title) > 0 {
		s += ` "` + string(n.Title) + `"`
	}
	return []block{{kind: paragraph, inlines: []inline{{text: s}}}}
}

func (c *converter) codeLang(n *ast.FencedCodeBlock) string {
	if n.Info == nil {
		return ""
	}
	first, _, _ := strings.Cut(unescape(n.Info.Segment.Value(c.src)), " ")
	return first
}

func (c *converter) lines(n ast.Node) string {
	var b bytes.Buffer
	for i := range n.Lines().Len() {
		s := n.Lines().At(i)
		b.Write(s.Value(c.src))
	}
	return strings.TrimRight(b.String(), "\n")
}

func (c *converter) table(n *extast.Table) block {
	b := block{kind: table}
	for _, a := range n.Alignments {
		b.align = append(b.align, strings.TrimPrefix(a.String(), "none"))
	}
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []cell
		for col := row.FirstChild(); col != nil; col = col.NextSibling() {
			cells = append(cells, c.inlines(col, 0))
		}
		for len(cells) < len(b.align) {
			cells = append(cells, nil)
		}
		b.rows = append(b.rows, cells)
	}
	return b
}

var entity = regexp.MustCompile(`^&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});`)

// unescape is Markdown text as it reads: backslash escapes and entities resolved,
// and what an entity hid cleaned.
func unescape(raw []byte) string {
	if !bytes.ContainsAny(raw, `\&`) {
		return string(raw)
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' && i+1 < len(raw) && util.IsPunct(raw[i+1]) {
			i++
		} else if e := entity.Find(raw[i:]); e != nil {
			b.WriteString(html.UnescapeString(string(e)))
			i += len(e) - 1
			continue
		}
		b.WriteByte(raw[i])
	}
	return clean(b.String())
}

// safeURL is a link's address if a reader may be led there: http and https with a
// host and without a user name (which only ever disguises the host), and mailto.
func safeURL(raw string) (string, bool) {
	u, err := url.Parse(oneLine(raw))
	if err != nil {
		return "", false
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https":
		return u.String(), u.Hostname() != "" && u.User == nil && u.Opaque == ""
	case "mailto":
		return u.String(), u.Opaque != ""
	default:
		return "", false
	}
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
