package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile  = 10 << 20  // bytes of one file
	maxNodes = 1_000_000 // values of the file with its aliases written out
)

// parse reads one YAML document whose top is a mapping. On a mistake it returns
// nil, and the mistake is collected.
func (d *decoder) parse(src []byte) *yaml.Node {
	if line, what, remedy := unreadable(src); what != "" {
		d.problem(position{Line: line}, what, remedy)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		d.problem(position{Line: 1}, "The file is empty.", emptyRemedy)
		return nil
	} else if err != nil {
		d.syntax(src, err)
		return nil
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		d.problem(position{Line: max(second.Line, doc.Line)}, "The file holds more than one YAML document.",
			"Remove the line `---` and put everything into one.")
		return nil
	}
	return d.top(&doc)
}

const emptyRemedy = "Start from config.example.yaml, which shows every option."

func (d *decoder) top(doc *yaml.Node) *yaml.Node {
	root := doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) > 0 {
		root = doc.Content[0]
	}
	switch {
	case isNull(root):
		d.problem(at(root), "The file is empty.", emptyRemedy)
	case root.Kind != yaml.MappingNode:
		d.problem(at(root), "The file is "+kindName(root)+" where settings are expected.", emptyRemedy)
	case !d.bounded(root):
	default:
		return root
	}
	return nil
}

// unreadable finds what no YAML can be read from.
func unreadable(src []byte) (line int, what, remedy string) {
	lineOf := func(i int) int { return bytes.Count(src[:i], []byte("\n")) + 1 }
	if len(src) > maxFile {
		return 1, fmt.Sprintf("The file is larger than %d MB.", maxFile>>20), "Move long lists of recipients into CSV files."
	}
	if i := invalidUTF8(src); i >= 0 {
		return lineOf(i), "The line is not UTF-8 text.", "Save the file with the encoding UTF-8."
	}
	if i := bytes.IndexFunc(src, control); i >= 0 {
		return lineOf(i), "The line holds a control character.", "Delete it; your editor may show it as ^@ or a box."
	}
	return 0, "", ""
}

func control(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }

// invalidUTF8 is the place of the first byte that is not UTF-8, or -1.
func invalidUTF8(src []byte) int {
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
	return -1
}

var syntaxError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)

// syntax explains what the YAML parser could not read.
func (d *decoder) syntax(src []byte, err error) {
	line, what := 1, err.Error()
	if m := syntaxError.FindStringSubmatch(what); m != nil {
		if n, convErr := strconv.Atoi(m[1]); convErr == nil {
			line = n
		}
		what = m[2]
	}
	if tab := tabNear(src, line); tab > 0 {
		d.problem(position{Line: tab}, "The line is indented with a tab, which YAML does not allow.", "Use spaces.")
		return
	}
	d.problem(position{Line: line}, "This is not YAML: "+what+".", syntaxRemedy(what))
}

func syntaxRemedy(what string) string {
	for _, r := range []struct{ part, remedy string }{
		{"mapping values are not allowed", "Put a text that holds `: ` into quotes, or look at the indentation."},
		{"could not find expected ':'", "Every setting is written `key: value`; look at this line and the one above."},
		{"did not find expected ',' or", "A [ or { is not closed, or a comma is missing."},
		{"did not find expected", "Look at the indentation of this line and the one above."},
		{"cannot start any token", "Put a text that begins with @, ` or % into quotes."},
		{"unknown anchor", "An alias (*name) needs its anchor (&name) further up."},
		{"excessive", "Nest less."},
		{"max depth", "Nest less."},
	} {
		if strings.Contains(what, r.part) {
			return r.remedy
		}
	}
	return "Look at this line and the one above."
}

// tabNear is the line with a tab in its indentation at or next to line, or 0. The
// parser is often one line off.
func tabNear(src []byte, line int) int {
	lines := bytes.Split(src, []byte("\n"))
	for _, n := range []int{line, line + 1, line - 1} {
		if n < 1 || n > len(lines) {
			continue
		}
		text := lines[n-1]
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if bytes.Contains(indent, []byte("\t")) {
			return n
		}
	}
	return 0
}

// bounded refuses a document that its aliases blow up, or whose alias contains
// itself, before anything follows them.
func (d *decoder) bounded(root *yaml.Node) bool {
	s := sizer{known: map[*yaml.Node]int{}}
	total := s.size(root)
	switch {
	case s.cycle != nil:
		d.problem(at(s.cycle), "The alias *"+s.cycle.Value+" stands inside its own anchor.", "Remove it.")
	case total > maxNodes:
		d.problem(at(root), fmt.Sprintf("With its aliases written out the file holds more than %d values.", maxNodes),
			"Use fewer aliases inside what other aliases repeat.")
	default:
		return true
	}
	return false
}

// sizer counts the values of a tree as if its aliases were written out, each node
// once.
type sizer struct {
	known map[*yaml.Node]int // 0 while a node is being counted
	cycle *yaml.Node         // an alias inside its own anchor
}

func (s *sizer) size(n *yaml.Node) int {
	if size, ok := s.known[n]; ok {
		return size
	}
	s.known[n] = 0
	size := 1
	if n.Kind == yaml.AliasNode {
		if inside, ok := s.known[n.Alias]; ok && inside == 0 {
			s.cycle = n
		}
		size += s.size(n.Alias)
	}
	for _, c := range n.Content {
		size = min(size+s.size(c), maxNodes+1)
	}
	s.known[n] = size
	return size
}

// pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// pairs are the entries of a mapping, merge keys (<<) followed. Keys written twice
// and keys that are no text are collected as mistakes.
func (d *decoder) pairs(n *yaml.Node) []pair {
	var own, merged []pair
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := resolve(n.Content[i]), n.Content[i+1]
		if k.ShortTag() == "!!merge" {
			merged = append(merged, d.merged(v)...)
			continue
		}
		if k.Kind != yaml.ScalarNode {
			d.problem(at(k), "A key must be text, not "+kindName(k)+".", "")
			continue
		}
		if line, twice := seen[k.Value]; twice {
			d.problem(at(k), fmt.Sprintf("`%s` is written twice, first in line %d.", clip(k.Value), line), "Keep one of them.")
			continue
		}
		seen[k.Value] = k.Line
		own = append(own, pair{k, v})
	}
	for _, p := range merged { // what is written here wins, then the first merged
		if _, have := seen[p.key.Value]; !have {
			seen[p.key.Value] = p.key.Line
			own = append(own, p)
		}
	}
	return own
}

func (d *decoder) merged(v *yaml.Node) []pair {
	v = resolve(v)
	switch v.Kind {
	case yaml.MappingNode:
		return d.pairs(v)
	case yaml.SequenceNode:
		var all []pair
		for _, c := range v.Content {
			all = append(all, d.merged(c)...)
		}
		return all
	}
	d.problem(at(v), "`<<` merges mappings, and this is "+kindName(v)+".", "Write `<<: *name`.")
	return nil
}

// resolve follows aliases.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func kindName(n *yaml.Node) string {
	switch {
	case isNull(n):
		return "empty"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
