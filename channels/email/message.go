package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime/quotedprintable"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/channels"
)

// keptRenderings is how many built messages are kept. An update makes a few (by
// audience, locale and zone), and a few updates are under way at a time.
const keptRenderings = 32

// maxLine is the longest line mail carries, without CRLF (RFC 5322 section 2.1.1).
const maxLine = 998

// builder makes what is the same for all recipients of a rendering, once.
type builder struct {
	from, replyTo party
	replyTos      map[string]party // by list
	domain        string           // of List-Ids
	signed        bool

	mu    sync.Mutex
	built map[content]*body
	last  atomic.Pointer[body] // what was asked for last, and mostly is asked for next
	dated atomic.Pointer[dated]
}

// dated is a time as it is written in Date, in whole seconds.
type dated struct {
	unix int64
	text string
}

// content is what a built message is made of and found again by. Comparing it costs a
// few microseconds at worst; no two renderings can be mistaken for each other.
type content struct{ subject, text, html, list string }

// body is the constant headers and the body of a message. Nobody writes to it.
type body struct {
	of       content
	plain    []byte
	stuffed  []byte   // for DATA: a dot before each that begins a line
	signable signable // if there are signatures
}

// tail returns what all recipients on a list share of a rendering.
func (b *builder) tail(m channels.Message, list string) *body {
	key := content{m.Subject, m.Text, m.HTML, list}
	if t := b.last.Load(); t != nil && t.of == key { // at once, for who holds a rendering does not copy it
		return t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.built[key]
	if !ok {
		t = b.keep(key, &body{of: key, plain: b.build(m, list)})
	}
	b.last.Store(t)
	return t
}

// keep completes a body and keeps it. The caller holds the lock.
func (b *builder) keep(key content, t *body) *body {
	if b.built == nil || len(b.built) >= keptRenderings {
		b.built = make(map[content]*body, keptRenderings)
	}
	t.stuffed = stuff(t.plain)
	if b.signed {
		t.signable = newSignable(t.plain)
	}
	b.built[key] = t
	return t
}

// date is t as it is written in Date. It is the same for all recipients of an update.
func (b *builder) date(t time.Time) string {
	if d := b.dated.Load(); d != nil && d.unix == t.Unix() {
		return d.text
	}
	d := &dated{unix: t.Unix(), text: t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")}
	b.dated.Store(d)
	return d.text
}

// stuff is RFC 5321 section 4.5.2.
func stuff(plain []byte) []byte {
	if !bytes.Contains(plain, []byte("\n.")) {
		return plain
	}
	return bytes.ReplaceAll(plain, []byte("\n."), []byte("\n.."))
}

func (b *builder) build(m channels.Message, list string) []byte {
	dst := make([]byte, 0, len(m.Text)+len(m.HTML)+len(m.HTML)/4+2048)
	dst = appendParty(dst, "From", b.from)
	replyTo, ok := b.replyTos[list]
	if !ok {
		replyTo = b.replyTo
	}
	if replyTo.addr.spec != "" {
		dst = appendParty(dst, "Reply-To", replyTo)
	}
	if s := clean(m.Subject); s != "" {
		dst = appendText(dst, "Subject", s)
		dst = appendText(dst, "Thread-Topic", topicOf(s))
	}
	if id := listID(list, b.domain); id != "" {
		dst = append(dst, "List-Id: <"+id+">\r\n"...)
	}
	dst = append(dst, "Auto-Submitted: auto-generated\r\n"+
		"X-Auto-Response-Suppress: OOF, AutoReply, DR, RN, NRN\r\n"+
		"MIME-Version: 1.0\r\n"...)
	if m.HTML == "" {
		return appendPart(dst, "text/plain; charset=utf-8; format=flowed", m.Text)
	}
	boundary := boundaryOf(m)
	dst = append(dst, "Content-Type: multipart/alternative;\r\n boundary=\""+boundary+"\"\r\n\r\n"...)
	dst = append(dst, "--"+boundary+"\r\n"...)
	dst = appendPart(dst, "text/plain; charset=utf-8; format=flowed", m.Text)
	dst = append(dst, "\r\n--"+boundary+"\r\n"...)
	dst = appendPart(dst, "text/html; charset=utf-8", m.HTML)
	return append(dst, "\r\n--"+boundary+"--\r\n"...)
}

// listID names a list (RFC 2919 section 2): its id, with what a label cannot have made
// a hyphen, under our domain. It has no name of a customer in it, for the public reads
// it too.
func listID(list, domain string) string {
	label := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, list), "-")
	if label == "" || len(label) > maxLocal {
		return ""
	}
	return label + "." + domain
}

// boundaryOf is made from the content: the same message has the same one, and
// nobody can write a text that contains its own.
func boundaryOf(m channels.Message) string {
	h := sha256.New()
	for _, s := range []string{m.Subject, m.Text, m.HTML} {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return "=_" + hex.EncodeToString(h.Sum(nil)[:15])
}

// appendPart appends the headers and the body of a part, which ends in CRLF.
func appendPart(dst []byte, contentType, body string) []byte {
	dst = append(dst, "Content-Type: "+contentType+"\r\nContent-Transfer-Encoding: "...)
	lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(body)
	if !strings.HasSuffix(lines, "\n") {
		lines += "\n"
	}
	if isSevenBit(lines) {
		dst = append(dst, "7bit\r\n\r\n"...)
		return append(dst, strings.ReplaceAll(lines, "\n", "\r\n")...)
	}
	var encoded strings.Builder
	w := quotedprintable.NewWriter(&encoded)
	// A strings.Builder takes everything, so neither of these can fail.
	_, _ = w.Write([]byte(strings.ToValidUTF8(lines, "\uFFFD")))
	_ = w.Close()
	dst = append(dst, "quoted-printable\r\n\r\n"...)
	for line := range strings.Lines(encoded.String()) {
		if rest, ok := strings.CutPrefix(line, "From "); ok { // mailboxes put a > before it
			line = "=46rom " + rest
		}
		dst = append(dst, line...)
	}
	return dst
}

// isSevenBit reports whether s, in lines ending in LF, can travel as it is: ASCII without
// control characters, no line too long, none that a mailbox would escape.
func isSevenBit(s string) bool {
	for line := range strings.SplitSeq(s, "\n") {
		if len(line) > maxLine || strings.HasPrefix(line, "From ") {
			return false
		}
		for i := range len(line) {
			if c := line[i]; (c < ' ' && c != '\t') || c > '~' {
				return false
			}
		}
	}
	return true
}

// head is what differs from one recipient to the next.
type head struct {
	date   string
	id     string // <key@domain>
	to     party
	thread thread
	leave  string // the URL to unsubscribe with, or empty
}

// append appends the headers of h; the constant ones follow.
func (h head) append(dst []byte) []byte {
	dst = append(append(dst, "Date: "...), h.date...)
	dst = append(append(dst, "\r\nMessage-ID: "...), h.id...)
	dst = appendParty(append(dst, "\r\n"...), "To", h.to)
	if h.leave != "" { // RFC 8058 section 3.1
		dst = append(append(append(dst, "List-Unsubscribe:\r\n <"...), h.leave...), ">\r\n"...)
		dst = append(dst, "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"...)
	}
	dst = append(h.thread.appendIndex(append(dst, "Thread-Index: "...)), "\r\n"...)
	ids := h.thread.ids
	if len(ids) == 0 {
		return dst
	}
	dst = append(append(dst, "In-Reply-To: "...), ids[len(ids)-1]...)
	dst = append(dst, "\r\nReferences:"...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, "\r\n"...)
		}
		dst = append(append(dst, ' '), id...)
	}
	return append(dst, "\r\n"...)
}
