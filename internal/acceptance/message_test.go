package acceptance_test

import (
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // so that a part in any charset is read
)

// letter is a message as a mail program reads it.
type letter struct {
	raw        string
	header     mail.Header
	subject    string
	text, html string            // decoded
	params     map[string]string // of the text part's Content-Type
}

// open reads a message twice: its header with the standard library, its parts with
// go-message. Neither may find anything wrong with it.
func open(t *testing.T, raw string) letter {
	t.Helper()
	l := letter{raw: raw}
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("the message's header: %v\n%s", err, raw)
	}
	l.header = m.Header
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatalf("the message's subject: %v", err)
	}
	e, err := message.Read(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("the message: %v\n%s", err, raw)
	}
	if kind, _, err := e.Header.ContentType(); err != nil || kind != "multipart/alternative" {
		t.Fatalf("the message is %q (%v), want multipart/alternative\n%s", kind, err, raw)
	}
	l.readParts(t, e.MultipartReader())
	return l
}

func (l *letter) readParts(t *testing.T, parts message.MultipartReader) {
	t.Helper()
	var kinds []string
	for {
		p, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("a part of the message: %v\n%s", err, l.raw)
		}
		kind, params, err := p.Header.ContentType()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			t.Fatalf("the %s part: %v\n%s", kind, err, l.raw)
		}
		kinds = append(kinds, kind)
		if kind == "text/plain" {
			l.text, l.params = string(body), params
		} else {
			l.html = string(body)
		}
	}
	if got := strings.Join(kinds, ", "); got != "text/plain, text/html" {
		t.Fatalf("the message has the parts %s; want the text and then the HTML", got)
	}
}

// flowed is the text as a reader of format=flowed shows it: a line that ends in a
// space goes on in the next one, and a space at the beginning was stuffed (RFC 3676,
// sections 4.1 and 4.4).
func (l letter) flowed() string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(l.text, "\r\n", "\n")) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), " ")
		b.WriteString(line)
		if !strings.HasSuffix(line, " ") || line == "-- " {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// everything is the message as it travelled and all of its parts decoded: what a
// search for a word must look through.
func (l letter) everything() string {
	return strings.Join([]string{l.raw, l.subject, l.text, l.html}, "\n")
}

// id is a header that holds one Message-ID.
func (l letter) id(t *testing.T, name string) string {
	t.Helper()
	v := l.header.Get(name)
	if !strings.HasPrefix(v, "<") || !strings.HasSuffix(v, "@status.example>") || strings.ContainsAny(v, " \t") {
		t.Errorf("%s is %q, want <…@status.example>", name, v)
	}
	return v
}

// deliveredTo is the envelope's recipient, as Postfix notes it.
func (l letter) deliveredTo() string { return l.header.Get("Delivered-To") }
