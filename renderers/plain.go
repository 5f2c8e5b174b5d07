package renderers

import (
	"strconv"
	"strings"
)

// plain writes a document without markup, as lines.
type plain struct {
	columns int    // 0: the reader's program wraps
	margin  string // before a list at the top
	bullet  string
	tick    string // around code in a line
	grid    bool   // tables are drawn; else each row is a few labelled lines
	link    func(label, title, url string) string
}

// columnsOfText leaves room, in lines of at most 78 columns, for the space that
// format=flowed may put at either end (RFC 3676, 4.1 and 4.4).
const columnsOfText = 76

// textStyle is for mail and terminals, where every letter is as wide as another.
func textStyle() plain {
	return plain{
		columns: columnsOfText, margin: "  ", bullet: "-", tick: "`", grid: true,
		link: func(label, title, url string) string {
			if label == "" || url == label || url == "mailto:"+label {
				return strings.TrimSpace(bare(url) + aside(title))
			}
			return label + aside(title) + " <" + bare(url) + ">"
		},
	}
}

// chatStyle is for chat programs: letters differ in width, lines wrap by
// themselves, and a markup character may mean anything.
func chatStyle() plain {
	return plain{
		bullet: "•",
		link: func(label, title, url string) string {
			to := bare(url)
			if to == url { // "@" is going to be defused, which must not break the address
				to = strings.ReplaceAll(url, "@", "%40")
			}
			if label == "" || url == label || url == "mailto:"+label {
				return to + aside(title)
			}
			return label + aside(title) + " (" + to + ")"
		},
	}
}

// bare is an address as people write it.
func bare(url string) string { return strings.TrimPrefix(url, "mailto:") }

func (p plain) text(bs []block) string {
	return strings.Join(p.blocks(bs, p.columns, true), "\n")
}

// blocks are the lines of blocks within some columns. Only at the top may the lines
// of a paragraph flow: what is indented would lose its indentation.
func (p plain) blocks(bs []block, cols int, top bool) []string {
	var lines []string
	for i, b := range bs {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, p.block(b, cols, top)...)
	}
	return lines
}

func (p plain) block(b block, cols int, top bool) []string {
	switch b.kind {
	case heading:
		return p.heading(b, cols)
	case code:
		return indent(strings.Split(strings.ReplaceAll(b.code, "\t", "    "), "\n"), "    ", "    ")
	case quote:
		mark := string(markQuote)
		return indent(p.blocks(b.blocks, narrower(cols, 2), top), mark, mark)
	case list:
		return p.list(b, cols, top)
	case table:
		return p.table(b, cols)
	case rule:
		return []string{strings.Repeat("-", 20)}
	default:
		return p.paragraph(b.inlines, cols, top)
	}
}

func (p plain) paragraph(in []inline, cols int, flows bool) []string {
	var lines []string
	for part := range strings.SplitSeq(p.inlines(in), "\n") {
		wrapped := wrap(part, cols)
		for i := range len(wrapped) - 1 {
			if flows {
				wrapped[i] += string(markSoft)
			}
		}
		lines = append(lines, wrapped...)
	}
	return lines
}

func (p plain) heading(b block, cols int) []string {
	lines := p.paragraph(b.inlines, cols, false)
	if cols == 0 {
		return lines
	}
	return append(lines, strings.Repeat("~", widest(lines)))
}

func (p plain) list(b block, cols int, top bool) []string {
	var lines []string
	margin := ""
	if top {
		margin = p.margin
	}
	for i, it := range b.items {
		if i > 0 && b.loose {
			lines = append(lines, "")
		}
		mark := margin + p.bullet + " "
		if b.ordered {
			mark = margin + strconv.Itoa(b.start+i) + ". "
		}
		hang := strings.Repeat(" ", width(mark))
		lines = append(lines, indent(p.item(it, b.loose, narrower(cols, width(mark))), mark, hang)...)
	}
	return lines
}

// item is a list item's lines. In a tight list its blocks stand close together.
func (p plain) item(it item, loose bool, cols int) []string {
	if loose {
		return orEmpty(p.blocks(it, cols, false))
	}
	var lines []string
	for _, b := range it {
		lines = append(lines, p.block(b, cols, false)...)
	}
	return orEmpty(lines)
}

func orEmpty(lines []string) []string {
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

func (p plain) inlines(all []inline) string {
	var b strings.Builder
	for _, in := range all {
		switch in.kind {
		case words:
			b.WriteString(in.text)
		case codeSpan:
			b.WriteString(p.tick + in.text + p.tick)
		case struck:
			b.WriteString("~~" + p.inlines(in.kids) + "~~")
		case link:
			b.WriteString(p.link(p.inlines(in.kids), in.title, in.url))
		case lineBreak:
			b.WriteByte('\n')
		case checkbox:
			b.WriteString("[" + pad(in.text, 1, "") + "] ")
		default:
			b.WriteString(p.inlines(in.kids))
		}
	}
	return b.String()
}

// indent puts first before the first line and rest before the others.
func indent(lines []string, first, rest string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = rest + l
		if i == 0 {
			out[i] = first + l
		}
		if l == "" {
			out[i] = strings.TrimRight(out[i], " ")
		}
	}
	return out
}

// narrower is cols less n, but never too few to write in.
func narrower(cols, n int) int {
	if cols == 0 {
		return 0
	}
	return max(20, cols-n)
}

func widest(lines []string) int {
	n := 0
	for _, l := range lines {
		n = max(n, width(l))
	}
	return n
}
