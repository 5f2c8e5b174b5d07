package renderers

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"sitrep/channels"
)

// size is how much of a post's room a text takes. Sizes add up.
type size struct{ runes, bytes int }

const unlimited = 1 << 40

func sizeOf(s string) size {
	j, _ := json.Marshal(unmarkCode(s)) // a string always marshals
	return size{utf8.RuneCountInString(s), len(j) - len(`""`)}
}

func (a size) plus(b size) size { return size{a.runes + b.runes, a.bytes + b.bytes} }

func (a size) minus(b size) size { return size{a.runes - b.runes, a.bytes - b.bytes} }

func (a size) within(room size) bool { return a.runes <= room.runes && a.bytes <= room.bytes }

// roomFor is what a post that already holds frame has left for its text.
func roomFor(l channels.Limits, frame channels.Post) size {
	room := size{unlimited, unlimited}
	if l.TextRunes > 0 {
		room.runes = l.TextRunes
	}
	if l.PayloadBytes > 0 {
		j, _ := json.Marshal(frame) // strings and numbers always marshal
		room.bytes = l.PayloadBytes - len(j)
	}
	return room
}

var errNoRoom = errors.New("not even one word fits")

// split divides a Markdown text into posts that each fit, at the coarsest border
// that does: between paragraphs; between list items, rows of a table (its header is
// repeated) and lines of code (the fence is closed and opened again); between
// sentences; between words; and within a word only if the word alone is too long. A
// heading stays with what follows it. Nothing is left out.
func split(text string, room size) ([]string, error) {
	if sizeOf(text).within(room) {
		return []string{text}, nil
	}
	note := sizeOf(continued(999, 999))
	s := splitter{room: room.minus(note)}
	for _, b := range chunks(text) {
		if err := s.add(b); err != nil {
			return nil, err
		}
	}
	s.flush()
	for i := range s.posts[1:] {
		s.posts[i+1] = continued(i+2, len(s.posts)) + s.posts[i+1]
	}
	return s.posts, nil
}

// continued tells the reader of a later part that there is an earlier one.
func continued(n, of int) string { return fmt.Sprintf("*(continued, %d of %d)*\n\n", n, of) }

type splitter struct {
	room  size
	posts []string
	held  []string // chunks of the post under way
	used  size
}

const between = "\n\n"

// add puts a chunk into the post under way, or the next if that helps to keep it
// whole, or divides it over as many as it takes.
func (s *splitter) add(chunk string) error {
	n := sizeOf(chunk)
	if s.take(chunk, n) {
		return nil
	}
	if n.within(s.room) {
		s.flush()
		if s.take(chunk, n) {
			return nil
		}
	}
	parts, err := s.divide(chunk)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if n := sizeOf(p); p != "" && !s.take(p, n) {
			s.flush()
			if !s.take(p, n) {
				return errNoRoom
			}
		}
	}
	return nil
}

func (s *splitter) take(chunk string, n size) bool {
	if len(s.held) > 0 {
		n = n.plus(sizeOf(between))
	}
	if !s.used.plus(n).within(s.room) {
		return false
	}
	s.held, s.used = append(s.held, chunk), s.used.plus(n)
	return true
}

// flush ends the post under way, but takes headings at its end along to the next.
func (s *splitter) flush() {
	keep := len(s.held) - len(s.headings())
	if keep == 0 {
		keep = len(s.held)
	}
	along := s.held[keep:]
	if keep > 0 {
		s.posts = append(s.posts, strings.Join(s.held[:keep], between))
	}
	s.held, s.used = nil, size{}
	for _, h := range along {
		s.take(h, sizeOf(h))
	}
}

// headings are those at the end of the post under way.
func (s *splitter) headings() []string {
	n := len(s.held)
	for n > 0 && strings.HasPrefix(s.held[n-1], "#") {
		n--
	}
	return s.held[n:]
}

// divide cuts a chunk that fills more than a post. The first part is for what is
// left of the post under way.
func (s *splitter) divide(chunk string) ([]string, error) {
	lines := strings.Split(chunk, "\n")
	p := packer{room: s.room, left: s.room.minus(s.used)}
	if len(s.held) > 0 {
		p.left = p.left.minus(sizeOf(between))
	}
	for _, h := range s.headings() { // they may have to go along to the next post
		p.room = p.room.minus(sizeOf(h + between))
	}
	switch f := fence(lines[0]); {
	case f != "":
		p.code, p.head, p.tail = true, lines[0]+"\n", "\n"+f
		lines = lines[1:]
		if n := len(lines); n > 0 && strings.TrimSpace(lines[n-1]) == f {
			lines = lines[:n-1]
		}
	case len(lines) > 2 && strings.HasPrefix(lines[0], "|") && strings.HasPrefix(lines[1], "|"):
		p.head = lines[0] + "\n" + lines[1] + "\n"
		lines = lines[2:]
	}
	frame := sizeOf(p.head + p.tail)
	p.room, p.left = p.room.minus(frame), p.left.minus(frame)
	return p.pack(lines)
}

// packer puts lines into as few parts as it can, each between head and tail.
type packer struct {
	head, tail string
	code       bool
	room       size // of a part
	left       size // of the part under way
	parts      []string
	held       []string
}

func (p *packer) pack(lines []string) ([]string, error) {
	for _, l := range lines {
		if err := p.line(l); err != nil {
			return nil, err
		}
	}
	p.end()
	return p.parts, nil
}

func (p *packer) end() {
	part := ""
	if len(p.held) > 0 {
		part = p.head + strings.Join(p.held, "\n") + p.tail
	}
	p.parts, p.held, p.left = append(p.parts, part), nil, p.room
}

// line adds a line, cut as often as it has to be. A line that is cut in code cannot
// tell any more what is code, so nothing in it may mention anybody.
func (p *packer) line(l string) error {
	whole := sizeOf(l + "\n").within(p.room)
	if !whole && !p.code {
		l = defuseMentions(strings.NewReplacer(string(markCodeAt), "@", string(markCodeLess), "&lt;").Replace(l))
	}
	for !sizeOf(l + "\n").within(p.left) {
		at := 0
		if !whole && p.left.runes >= p.room.runes/4 && p.left.bytes >= p.room.bytes/4 {
			at = cut(l, p.left)
		}
		if at == 0 && p.left == p.room {
			return errNoRoom
		}
		if at > 0 {
			p.held, l = append(p.held, l[:at]), l[at:]
		}
		p.end()
	}
	p.held, p.left = append(p.held, l), p.left.minus(sizeOf(l+"\n"))
	return nil
}

var sentenceEnd = regexp.MustCompile(`[.!?…。！？]["')\]]*\s+`)

// cut is where to end the first piece of a line: after the last sentence that fits,
// or the last word, or the last character.
func cut(l string, room size) int {
	most, used := 0, sizeOf("\n")
	for i, r := range l {
		used = used.plus(sizeOf(string(r)))
		if !used.within(room) {
			break
		}
		most = i + utf8.RuneLen(r)
	}
	for _, m := range reverse(sentenceEnd.FindAllStringIndex(l[:most], -1)) {
		if m[1] > most/2 {
			return m[1]
		}
	}
	if i := strings.LastIndexByte(l[:most], ' '); i > most/2 {
		return i + 1
	}
	return whole(l, most)
}

// whole moves a border within a word so that it does not part an escape, an "@" and
// what defuses it, or an entity.
func whole(l string, at int) int {
	for _, unit := range []string{"&lt;", "&amp;", "@" + zwsp} {
		for back := 1; back < len(unit); back++ {
			if at-back >= 0 && strings.HasPrefix(l[at-back:], unit) {
				return at - back
			}
		}
	}
	for at > 0 && l[at-1] == '\\' {
		at--
	}
	return at
}

func reverse(all [][]int) [][]int {
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	return all
}

// fence is the run of backticks that opens a code block, or nothing.
func fence(l string) string {
	l = strings.TrimLeft(l, " >")
	n := len(l) - len(strings.TrimLeft(l, "`"))
	if n < 3 {
		return ""
	}
	return l[:n]
}

// chunks are the blocks of a Markdown text: what empty lines part, code kept whole.
func chunks(text string) []string {
	var all, held []string
	open := ""
	end := func() {
		if len(held) > 0 {
			all = append(all, strings.Join(held, "\n"))
		}
		held = nil
	}
	for l := range strings.SplitSeq(text, "\n") {
		if f := fence(l); open == "" && f != "" {
			open = f
		} else if open != "" && strings.TrimLeft(l, " >") == open {
			open = ""
		}
		if l == "" && open == "" {
			end()
			continue
		}
		held = append(held, l)
	}
	end()
	return all
}
