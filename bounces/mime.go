package bounces

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"slices"
	"strings"
)

// What is read of a message's structure. The rest is passed over.
const (
	maxParts  = 50
	maxDepth  = 5
	maxFields = 500
)

// header is the fields of a header by their names in lower case. What comes back was
// often written by programs that do not keep to the rules, so net/mail is too strict.
type header map[string][]string

func (h header) get(key string) string {
	if v := h[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// words is a field with its encoded words (RFC 2047) decoded, as far as they can be.
func (h header) words(key string) string {
	s, err := (&mime.WordDecoder{}).DecodeHeader(h.get(key))
	if err != nil {
		return h.get(key)
	}
	return s
}

// readHeader splits a header off. Lines that are no fields are passed over.
func readHeader(raw []byte) (h header, body []byte) {
	h = header{}
	last := ""
	for fields := 0; len(raw) > 0; {
		var line []byte
		line, raw = cutLine(raw)
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if v := h[last]; len(v) > 0 {
				v[len(v)-1] += " " + clean(strings.TrimSpace(string(line)))
			}
			continue
		}
		key, value, ok := strings.Cut(string(line), ":")
		last = strings.ToLower(strings.TrimSpace(key))
		if fields++; ok && fields <= maxFields {
			h[last] = append(h[last], clean(strings.TrimSpace(value)))
		} else {
			last = ""
		}
	}
	return h, raw
}

// cutLine is the first line without its end, and what follows.
func cutLine(raw []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(raw, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// entity is a message or a part of one.
type entity struct {
	header header
	media  string // lower case; text/plain by default
	params map[string]string
	body   []byte   // decoded; empty if there are parts
	parts  []entity // of a multipart, or the message inside
}

// parse reads an entity. It takes one of the budget for each.
func parse(raw []byte, depth int, budget *int) entity {
	*budget--
	var e entity
	e.header, e.body = readHeader(raw)
	e.media, e.params = mediaType(e.header.get("content-type"))
	switch {
	case depth >= maxDepth:
	case strings.HasPrefix(e.media, "multipart/") && e.params["boundary"] != "":
		for _, part := range split(e.body, e.params["boundary"]) {
			if *budget > 0 {
				e.parts = append(e.parts, parse(part, depth+1, budget))
			}
		}
		return e
	case e.media == "message/rfc822" || e.media == "message/global" || strings.HasSuffix(e.media, "-headers"):
		e.body = decode(e.body, e.header)
		if *budget > 0 {
			e.parts = []entity{parse(e.body, depth+1, budget)}
		}
		return e
	}
	e.body = decode(e.body, e.header)
	return e
}

var looseBoundary = regexp.MustCompile(`(?i)boundary="?([^";\s]+)`)

func mediaType(field string) (string, map[string]string) {
	media, params, err := mime.ParseMediaType(field)
	if err == nil {
		return media, params
	}
	media, _, _ = strings.Cut(field, ";")
	if media = strings.ToLower(strings.TrimSpace(media)); media == "" {
		media = "text/plain"
	}
	params = map[string]string{}
	if b := looseBoundary.FindStringSubmatch(field); b != nil {
		params["boundary"] = b[1]
	}
	return media, params
}

// split cuts a multipart's body at its boundaries. A last part without an end is one.
func split(body []byte, boundary string) [][]byte {
	var parts [][]byte
	from, at := -1, 0
	for at < len(body) && len(parts) < maxParts {
		line, rest := cutLine(body[at:])
		next := len(body) - len(rest)
		if mark, ok := bytes.CutPrefix(bytes.TrimRight(line, " \t"), []byte("--"+boundary)); ok && (len(mark) == 0 || string(mark) == "--") {
			if from >= 0 {
				parts = append(parts, body[from:at])
			}
			from = next
			if len(mark) > 0 {
				return parts
			}
		}
		at = next
	}
	if from >= 0 && from < len(body) {
		parts = append(parts, body[from:])
	}
	return parts
}

// decode undoes the transfer encoding, as far as it is right.
func decode(body []byte, h header) []byte {
	var r io.Reader
	switch strings.ToLower(h.get("content-transfer-encoding")) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(body))
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(body))
	default:
		return body
	}
	out, _ := io.ReadAll(r) // what was right before a mistake is kept
	return out
}

// isReport reports whether e is a multipart/report (RFC 6522) of a type.
func (e *entity) isReport(of string) bool {
	return e.media == "multipart/report" && strings.EqualFold(e.params["report-type"], of)
}

// find is the first part of one of the types, outside of messages inside.
func (e *entity) find(media ...string) *entity {
	if slices.Contains(media, e.media) {
		return e
	}
	if strings.HasPrefix(e.media, "message/") {
		return nil
	}
	for i := range e.parts {
		if found := e.parts[i].find(media...); found != nil {
			return found
		}
	}
	return nil
}

var tags = regexp.MustCompile(`(?is)<(?:style|script)\b.*?</(?:style|script)\s*>|<(?:br|/p|/div|/tr|/li|/h\d)\b[^>]*>|<[^>]*>`)

// text is what a person would read: the plain text, or else the HTML without its tags.
func (e *entity) text() string {
	if plain := e.find("text/plain"); plain != nil {
		return strings.ToValidUTF8(string(plain.body), "\uFFFD")
	}
	page := e.find("text/html")
	if page == nil {
		return ""
	}
	bare := tags.ReplaceAllStringFunc(string(page.body), func(tag string) string {
		if strings.HasPrefix(strings.ToLower(tag), "<br") || strings.HasPrefix(tag, "</") {
			return "\n"
		}
		return ""
	})
	return strings.ToValidUTF8(html.UnescapeString(bare), "\uFFFD")
}

// clean makes a remote side's words one line of printable text.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029':
			return -1
		case r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069': // they turn text around
			return -1
		}
		return r
	}, s)
}

// brief is clean, without repeated spaces, and cut at maxReason bytes.
func brief(s string) string {
	s = strings.Join(strings.Fields(clean(s)), " ")
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}
